"""Keys that never leave where they are kept: PKCS #11 tokens, HashiCorp Vault, AWS KMS.

All of them do two things, `sign` and `public_key`, and all of them sign through `SigningKey.from_callback`:

```python
store = open_keystore("pkcs11:token=assay;object=signing?module-path=/usr/lib/p11.so&pin-source=/run/pin")
key = SigningKey.from_callback(store.sign, algorithm_of(store.public_key()), chain_pem)
```
"""

from provenance.keystores.aws import AwsKmsKey
from provenance.keystores.base import KeyStore, PemKey, PublicKey, algorithm_of, open_keystore, signing_key
from provenance.keystores.pkcs11 import Pkcs11Key
from provenance.keystores.request import certificate_request
from provenance.keystores.vault import VaultKey

__all__ = [
    "AwsKmsKey",
    "KeyStore",
    "PemKey",
    "Pkcs11Key",
    "PublicKey",
    "VaultKey",
    "algorithm_of",
    "certificate_request",
    "open_keystore",
    "signing_key",
]

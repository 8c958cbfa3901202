"""Every setting of the service, read from `ASSAY_*` variables in one place.

Nothing else in the product reads the environment. A variable that starts with `ASSAY_` and is no
setting is an error: a misspelt limit must not silently be the default.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, get_type_hints

import platformdirs

from service.errors import ConfigurationError

PREFIX = "ASSAY_"
LOG_FORMAT = "ASSAY_LOG_FORMAT"
"""Read before the settings are, so that what is wrong with them is logged in the right form."""
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Named by `assay serve` for its processes, and read by prometheus_client when it is imported."""
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Settings:
    """How one installation runs. Each field is the variable `ASSAY_` + its name in capitals."""

    home: Path
    """Data folder: database, keys, media, uploads in flight."""
    database_url: str = ""
    """SQLAlchemy URL; empty means SQLite in `home`."""
    host: str = "127.0.0.1"
    port: int = 8000
    auth: str = "none"
    """`none` (loopback only) or `keys`: every /v1 call but /v1/verify needs an API key."""
    public_verify: bool = True
    """Whether /v1/verify and the page answer without an API key."""
    workers: int = 1
    """Worker processes on this machine; 0 when other machines do the work. With Ray, the fewest workers."""
    engine: str = "local"
    """What places and replaces workers: `local` (processes of this machine) or `ray` (optional extra)."""
    ray_address: str = ""
    """The cluster to join: `auto` or HOST:PORT of its head; empty starts a Ray of its own on loopback."""
    ray_max_workers: int = 0
    """As many workers as a long queue may start; up to `workers`: the number is fixed."""
    ray_jobs_per_worker: int = 1
    """Jobs that wait or run for each worker, before another one is started."""
    ray_idle_seconds: float = 300.0
    """How long a worker above the fewest may have nothing to do before it is sent home."""
    ray_cpus_per_worker: float = 1.0
    """Ray's processor slots of one worker."""
    ray_gpus_per_worker: float = 1.0
    """GPUs of one worker, where `device` is cuda."""

    model: str = "assay-tiny"
    """Name of the embedded system, or the folder of a diffusers pipeline."""
    device: str = "cpu"
    offload: bool = False
    """Whether what does not compute waits in the host's memory: for models larger than the device."""
    hosted_key: str = field(default="", repr=False)
    """Key for the provider, where `model` names a hosted system."""
    hosted_secret: str = field(default="", repr=False)
    """Second half of the key, for providers that have one (Kling)."""
    hosted_url: str = ""
    """Address of the provider; empty means its own. For gateways that speak the same API."""
    hosted_max_dollars: float = 0.0
    """The highest list price of one result of a hosted system; 0 means no limit."""
    policy: Path | None = None
    """Policy file or signed bundle, reread when it changes; empty means the shipped default policy."""
    policy_issuers: Path | None = None
    """Ed25519 public keys, PEM, of those who may sign policy bundles; then nothing but a bundle is taken."""
    policy_poll_seconds: float = 2.0
    """How often the policy's file is looked at; 0 never."""
    vault_key: Path | None = None
    """X25519 public key, PEM, to which prompts are sealed; empty means that no prompt is kept."""
    vault_days: float = 30.0
    """How long sealed prompts are kept."""
    image_text_model: Path | None = None
    """Folder of an open_clip model (open_clip_config.json and safetensors), for `shows` and `idea` rules."""
    consent_issuers: Path | None = None
    """Ed25519 public keys, PEM, of those who may issue consent tokens; empty means no consent is valid."""
    face_detector: Path | None = None
    """YuNet (ONNX) that finds faces; empty means MTCNN, which comes with a dependency."""
    face_embedder: Path | None = None
    """Weights that tell faces apart: SFace (ONNX), or InceptionResnetV1 (.pt or safetensors)."""
    adapter_issuers: Path | None = None
    """Ed25519 public keys, PEM, of those who vouch for adapters; empty means nobody does."""
    adapters: str = ""
    """LoRA files that a local system carries, FILE or FILE=WEIGHT, commas between; the guard judges them."""
    deployment: str = "assay"
    """Name mixed into the key derivation, so that two installations never share marks."""
    key_epoch: int = 0
    """Epoch that new media are marked with; every earlier epoch is still detected."""
    signing_chain: Path | None = None
    """Certificate chain that signs, PEM, leaf first; empty means the dev authority of `assay keys init`."""
    signing_key: Path | None = None
    """Private key of the chain's leaf, PEM."""
    signing_store: str = ""
    """Address of a key store that holds the private key instead of a file: pkcs11:, vault+https: or awskms:
    (docs/guide/operators.md). `signing_chain` is then the chain that was issued for it."""
    timestamp_url: str = ""
    """RFC 3161 time-stamp server; with a stamp, signatures outlive the certificate. Empty means none."""
    trust_roots: Path | None = None
    """Further authorities, PEM, whose manifests count as trusted. Never the dev root in production."""
    tsa_roots: Path | None = None
    """Further authorities, PEM, whose time-stamps count."""
    claim_list: Path | None = None
    """A newer C2PA trust list, PEM, instead of the bundled one."""
    tsa_list: Path | None = None
    """A newer C2PA time-stamp list, PEM, instead of the bundled one."""
    revoked_keys: str = ""
    """Mark keys (`0.3`: epoch.sub-key) or epochs (`0`) that mark nothing any more and are still read."""
    size: str = ""
    """Default WIDTHxHEIGHT; empty means the model's own."""
    seconds: float = 0.0
    """Default duration of a clip; 0 means the model's own."""
    steps: int = 0
    """Sampling steps; 0 means the model's own."""
    aigc_producer: str = ""
    """Name or social credit code of the provider, ASCII without spaces: then every file that AI made carries
    the AIGC label of GB 45438-2025 in its metadata."""
    visible_label: str = ""
    """Where a visible label is drawn: top-left, top, top-right, bottom-left, bottom or bottom-right; empty
    means none."""
    visible_label_language: str = "en"
    visible_label_text: str = ""
    """Its words; empty means those of the language."""
    visible_label_height: float = 0.05
    """Height of its letters as a share of the short side; GB 45438-2025 asks for 0.05."""
    visible_label_font: Path | None = None
    """TrueType or OpenType file; needed for scripts other than Latin."""

    lease_seconds: float = 30.0
    """A worker that has not been heard of for this long has lost its job."""
    heartbeat_seconds: float = 1.0
    """How often a worker extends its lease, reports progress and learns of a cancel."""
    poll_seconds: float = 0.5
    """How often an idle worker looks for a job."""
    max_attempts: int = 3
    """Starts of one job; a job that kills its worker three times is not started again."""
    quality_retries: int = 2
    """How often a job is made again with another seed, at no charge, because its pictures were broken."""
    drain_seconds: float = 0.0
    """How long a worker that is told to stop may go on with its job; after that the job is queued again."""
    max_queued_per_tenant: int = 1000
    max_running_per_tenant: int = 8
    max_priority_per_tenant: int = 0
    """The highest priority that a request may ask for."""
    daily_credits_per_tenant: int = 0
    """Seconds of video, and pictures, that a tenant may have made per UTC day; 0 means no limit."""
    retention_hours: float = 24.0
    """How long a finished file is kept; its record stays. A tenant's own limit goes before."""
    max_stored_bytes_per_tenant: int = 0
    """What the finished files of one tenant may take up; 0 means no limit."""
    media_url: str = ""
    """Where finished files are kept: s3://BUCKET/PREFIX, or what else fsspec knows; empty means in `home`."""
    media_redirect: bool = False
    """Whether downloads are sent on to the bucket itself, by an address that it signs."""
    public_url: str = ""
    """Address of the service as its clients know it, for links; empty means as the request was addressed."""
    link_seconds: int = 3600
    """How long a download link lasts that does not say otherwise; a picture's `url` is one."""
    min_free_bytes: int = 512 * MIB
    """Free disk below which a worker takes no job: those that wait stay in the queue."""

    requests_per_minute: int = 0
    """Requests that one tenant, or one address without a key, may make of one API process; 0: no limit."""
    webhook_private: bool = False
    """Whether webhooks may go to plain http and to addresses of this network."""

    log_format: str = "text"
    """`text`, or `json`: one object a line."""
    otlp_endpoint: str = ""
    """OpenTelemetry collector that takes traces over HTTP, http://HOST:4318; empty means no traces."""

    upload_max_bytes: int = 256 * MIB
    """One upload to be verified. A minute of 1080p at 20 Mb/s is 150 MB."""
    reference_max_bytes: int = 20 * MIB
    """One reference picture, as file or data URL."""
    media_max_pixels: int = 50_000_000
    """Pixels of one picture or frame: above every camera phone's default, below a bomb."""
    media_max_frames: int = 3600
    media_max_seconds: float = 600.0
    inspect_seconds: float = 60.0
    """Wall clock for parsing one upload."""
    inspect_memory_bytes: int = 1024 * MIB
    """Address space that one upload may add to the limited process."""
    inspect_parallel: int = 2
    """Uploads parsed at the same time; more wait."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read the `ASSAY_*` variables of `environ`.

        Raises `ConfigurationError` that lists every unknown variable and every unusable value.
        """
        kinds = get_type_hints(cls)
        known = {PREFIX + one.name.upper(): one.name for one in fields(cls)}
        values: dict[str, Any] = {"home": Path(platformdirs.user_data_dir("assay", appauthor=False))}
        faults = []
        for variable in sorted(name for name in environ if name.startswith(PREFIX)):
            if variable not in known:
                faults.append(_unknown(variable, known))
                continue
            name = known[variable]
            try:
                values[name] = _PARSERS[kinds[name]](environ[variable])
            except ValueError as error:
                faults.append(f"{variable}={environ[variable]!r}: {error}")
        if faults:
            raise ConfigurationError("; ".join(faults))
        return cls(**values)

    def __post_init__(self) -> None:
        if self.auth not in {"none", "keys"}:
            raise ConfigurationError(f"ASSAY_AUTH={self.auth!r}: use none or keys")
        if self.log_format not in {"text", "json"}:
            raise ConfigurationError(f"ASSAY_LOG_FORMAT={self.log_format!r}: use text or json")
        if self.engine not in {"local", "ray"}:
            raise ConfigurationError(f"ASSAY_ENGINE={self.engine!r}: use local or ray")
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            raise ConfigurationError(
                f"ASSAY_HEARTBEAT_SECONDS={self.heartbeat_seconds:g}: at least two heartbeats must fit into "
                f"ASSAY_LEASE_SECONDS={self.lease_seconds:g}"
            )
        for name in (
            "max_attempts",
            "ray_jobs_per_worker",
            "upload_max_bytes",
            "reference_max_bytes",
            "inspect_parallel",
            "link_seconds",
        ):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{PREFIX}{name.upper()}={getattr(self, name)}: must be at least 1")

    def check_exposure(self) -> None:
        """Raise `ConfigurationError` where anybody on the network could generate without a key."""
        if self.auth == "none" and not _is_loopback(self.host):
            raise ConfigurationError(
                f"ASSAY_HOST={self.host} is reachable from other machines but ASSAY_AUTH is none: set "
                "ASSAY_AUTH=keys and create a key with `assay keys issue NAME`, or bind 127.0.0.1"
            )

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{self.home / 'assay.db'}"

    @property
    def keys(self) -> Path:
        """Folder of the master key and the signing key, mode 0700."""
        return self.home / "keys"

    @property
    def media(self) -> Path:
        """Folder of finished files, where they are kept on this machine."""
        return self.home / "media"

    @property
    def making(self) -> Path:
        """Folder of files on their way to or from a bucket."""
        return self.home / "making"

    @property
    def references(self) -> Path:
        """Folder of the references of jobs that wait or run."""
        return self.home / "references"

    @property
    def characters(self) -> Path:
        """Folder of the clips that tenants keep as references."""
        return self.home / "characters"

    @property
    def decision_log(self) -> Path:
        """The sealed log of what the guard decided on this machine."""
        return self.home / "decisions.log"

    @property
    def faces(self) -> Path:
        """Folder of the sealed gallery of protected people and the calibration of its models."""
        return self.home / "faces"

    @property
    def adapter_folder(self) -> Path:
        """Folder of adapter manifests (*.json) and, in `trials`, of what trial pictures showed."""
        return self.home / "adapters"

    @property
    def revoked_consents(self) -> Path:
        """Ids of consents that were withdrawn, one a line."""
        return self.home / "revoked-consents.txt"

    @property
    def vault(self) -> Path:
        """Folder of sealed prompts."""
        return self.home / "vault"

    @property
    def scratch(self) -> Path:
        """Folder of uploads and unfinished files; emptied of old ones at start."""
        return self.home / "scratch"


def _unknown(variable: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(variable, known, n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    return f"{variable} is not a setting{hint}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _flag(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in words:
        raise ValueError("use true or false")
    return words[text.lower()]


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("use a whole number that is not negative")
    return int(text)


def _quantity(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError("use a number that is not negative")
    return value


def _path(text: str) -> Path:
    if not text:
        raise ValueError("use the path of a file or folder")
    return Path(text).expanduser().absolute()


_PARSERS: Mapping[Any, Callable[[str], Any]] = {
    str: str,
    bool: _flag,
    int: _count,
    float: _quantity,
    Path: _path,
    Path | None: _path,
}

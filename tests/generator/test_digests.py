from __future__ import annotations

import hashlib
import hmac
import math
from pathlib import Path

import pytest

from generator.digests import file_digest, parameters_digest, prompt_digest

KEY = bytes(range(32))


def test_a_prompt_digest_is_the_hmac_of_its_composed_form() -> None:
    expected = hmac.new(KEY, "caf\u00e9".encode(), hashlib.sha256).hexdigest()
    assert prompt_digest("cafe\u0301", KEY) == f"hmac-sha256:{expected}"


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        prompt_digest("a boat", KEY[:31])


def test_the_order_of_parameters_does_not_matter_and_their_values_do() -> None:
    assert parameters_digest({"a": 1, "b": 2.5}) == parameters_digest({"b": 2.5, "a": 1})
    assert parameters_digest({"a": 1}) != parameters_digest({"a": "1"})


def test_parameters_that_json_cannot_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        parameters_digest({"a": math.nan})


def test_a_file_digest_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert file_digest(tmp_path / "f") == f"sha256:{hashlib.sha256(b'abc').hexdigest()}"

"""Files in a bucket: a real S3 server on loopback, the real client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import pytest
from typer.testing import CliRunner

from service.cli.app import app
from service.errors import ConfigurationError
from service.isolate import RefusedError
from service.keys import create_keys
from service.remote import fetched, is_remote, listed
from service.wiring import utc_now
from tests.service.test_media import BUCKET, bucket, s3

__all__ = ["bucket", "s3"]  # fixtures

PREFIX = f"s3://{BUCKET}/case"


def test_a_prefix_a_pattern_and_a_file(bucket: Any) -> None:
    for name in ("case/b.png", "case/deep/a.mp4", "case/.hidden", "other/c.png"):
        bucket.put_object(Key=name, Body=b"words")
    assert listed(PREFIX) == [f"{PREFIX}/b.png", f"{PREFIX}/deep/a.mp4"]
    assert listed(f"s3://{BUCKET}/*/*.png") == [f"{PREFIX}/b.png", f"s3://{BUCKET}/other/c.png"]
    assert listed(f"{PREFIX}/b.png") == [f"{PREFIX}/b.png"]
    with fetched(f"{PREFIX}/b.png", limit=5) as path:
        assert path.read_bytes() == b"words"
    assert not path.exists()
    with pytest.raises(RefusedError, match="larger than 4 bytes"), fetched(f"{PREFIX}/b.png", limit=4):
        pass
    with pytest.raises(RefusedError, match="cannot be fetched"), fetched(f"{PREFIX}/none", limit=4):
        pass
    with pytest.raises(ConfigurationError, match="nothing under it"):
        listed(f"{PREFIX}/none/")
    with pytest.raises(ConfigurationError, match="cannot be listed"):
        listed("s3://no-such-bucket-here/x")


@pytest.mark.parametrize("name", ["https://example.org/a.png", "file:///etc/passwd", "s3://", "ftp://a/b"])
def test_only_buckets_are_asked(name: str) -> None:
    assert not is_remote(name)


def test_verify_reads_what_lies_under_a_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    create_keys(tmp_path / "keys", now=utc_now())
    memory = fsspec.filesystem("memory")
    memory.pipe("/case/one.txt", b"no picture")
    memory.pipe("/case/two.bin", b"")
    result = CliRunner().invoke(app, ["verify", "--json", "memory://case"])
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["file"] for row in rows] == ["memory://case/one.txt", "memory://case/two.bin"]
    assert [row["error"]["reason"] for row in rows] == ["not_media", "empty_file"]
    refused = CliRunner().invoke(app, ["verify", "https://example.org/a.png"])
    assert isinstance(refused.exception, ConfigurationError)

"""The command line: exit codes, JSON lines, and the same evidence as the service gives."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from service.cli.app import run
from watermark import Sound, read_sound, write_sound

SMALL = ("--frames", "5", "--steps", "2", "--seed", "1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_HOME", str(folder))
        assert run(["keys", "init"]) == 0
    return folder


@pytest.fixture(autouse=True)
def environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_HOME", str(home))


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "coffee.png"
    Image.fromarray(skimage.data.coffee()).save(path)
    return path


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_version_needs_no_heavy_import() -> None:
    code = (
        "import sys; sys.argv = ['assay', '--version']; from service.cli import main; main();"
        "print('torch' in sys.modules or 'typer' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "assay 0.1.0\nFalse\n"


def test_keys_are_private_and_never_overwritten(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (home / "keys/master.key").stat().st_mode & 0o777 == 0o600
    assert run(["keys", "init"]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert run(["keys", "doctor", "--json"]) == 0
    rows = lines(capsys)
    assert [row["live"] for row in rows] == [True] * 5


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    assert "MISSING" not in capsys.readouterr().out


def test_doctor_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    monkeypatch.setenv("ASSAY_MODEL", "gpt-9")
    assert run(["doctor", "--json"]) == 2
    missing = {row["check"]: row["detail"] for row in lines(capsys) if not row["live"]}
    assert "assay keys init" in missing["master key"]
    assert "gpt-9" in missing["generator"]


def test_sound_is_marked_detected_and_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(3)
    plain, marked, copy = (tmp_path / name for name in ("plain.wav", "marked.wav", "copy.mp3"))
    write_sound(plain, Sound(0.1 * rng.standard_normal((1, 96_000)).astype(np.float32), 32_000, ""))
    assert run(["mark", str(plain), "-o", str(marked), "--id", "0123456789ac", "--json"]) == 0
    write_sound(copy, read_sound(marked))
    capsys.readouterr()

    assert run(["detect", str(copy), str(plain), "--json"]) == 0
    found, nothing = lines(capsys)
    assert (found["found"], found["id"], found["sound"]["band"]) == (True, "0123456789ac", "detected")
    assert (nothing["found"], nothing["id"]) == (False, None)
    assert run(["detect", str(plain)]) == 1
    assert "no mark" in capsys.readouterr().out

    assert run(["verify", str(marked), str(copy), "--json"]) == 0
    whole, heard = lines(capsys)
    assert whole["verdict"] == "made_here"
    assert heard["sound"]["id"] == heard["registry"]["id"] == "0123456789ac"


def test_a_picture_is_marked_detected_and_verified(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marked = tmp_path / "marked.png"
    assert run(["mark", str(photo), "-o", str(marked), "--id", "0123456789ab", "--json"]) == 0
    (made,) = lines(capsys)
    assert (made["id"], made["bytes"]) == ("0123456789ab", marked.stat().st_size)
    assert list(tmp_path.iterdir()) == [marked]

    assert run(["detect", str(marked), str(photo), "--json"]) == 0
    found, nothing = lines(capsys)
    assert (found["found"], found["id"], found["band"]) == (True, "0123456789ab", "detected")
    assert found["log10_p"] < -6
    assert (nothing["found"], nothing["id"]) == (False, None)

    assert run(["verify", str(marked), "--json"]) == 0
    (report,) = lines(capsys)
    assert report["verdict"] == "made_here"
    assert {"file", "watermark", "c2pa", "registry", "fingerprint", "explain"} <= set(report)

    stripped = tmp_path / "stripped.png"
    Image.fromarray(np.asarray(Image.open(marked))).save(stripped)
    assert run(["verify", str(stripped)]) == 0
    assert "made_here_manifest_recovered" in capsys.readouterr().out

    assert run(["mark", str(photo), "-o", str(tmp_path / "b.png"), "--id", "0123456789ab"]) == 2
    assert "used before" in capsys.readouterr().err
    assert run(["mark", str(marked), "-o", str(tmp_path / "c.png")]) == 2
    assert not (tmp_path / "c.png").exists()


def test_detect_tells_where_the_marks_of_a_collage_lie(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids, tiles = ["0123456789c0", "0123456789c1"], []
    for media_id in ids:
        marked = tmp_path / f"{media_id}.png"
        assert run(["mark", str(photo), "-o", str(marked), "--id", media_id]) == 0
        tiles.append(np.asarray(Image.open(marked).convert("RGB")))
    collage = tmp_path / "collage.png"
    Image.fromarray(np.hstack(tiles)).save(collage)
    capsys.readouterr()
    assert run(["detect", "--locate", "--json", str(collage)]) == 0
    (row,) = lines(capsys)
    boxes = {part["id"]: part["box"] for part in row["parts"]}
    assert sorted(boxes) == ids
    width = tiles[0].shape[1]
    for index, media_id in enumerate(ids):
        left, _, right, _ = boxes[media_id]
        assert (left, right) == pytest.approx((index * width, (index + 1) * width), abs=width / 4)
    assert run(["detect", "--locate", str(collage)]) == 0
    assert f"mark {ids[1]}, x " in capsys.readouterr().out


def test_marked_without_signature(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marked = tmp_path / "marked.png"
    assert run(["mark", str(photo), "-o", str(marked), "--no-sign"]) == 0
    assert "not signed" in capsys.readouterr().out
    assert run(["verify", str(marked), "--json"]) == 0
    (report,) = lines(capsys)
    assert report["c2pa"]["state"] == "absent"
    assert report["registry"]["found"]


def test_a_foreign_picture_exits_with_1(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detect", str(photo)]) == 1
    assert "no mark" in capsys.readouterr().out
    assert run(["verify", str(photo)]) == 1
    assert "no_evidence" in capsys.readouterr().out


def test_bad_input_exits_with_2_and_says_why(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.png").touch()
    assert run(["detect", str(tmp_path / "empty.png"), str(photo), "--json"]) == 2
    broken, good = lines(capsys)
    assert broken["error"]["reason"] == "empty_file"
    assert good["found"] is False
    for arguments in (
        ["detect", str(tmp_path / "nothing.png")],
        ["mark", str(tmp_path / "empty.png"), "-o", str(tmp_path / "x.png")],
        ["mark", str(photo), "-o", str(tmp_path / "x.mp4")],
        ["mark", str(photo), "-o", str(tmp_path / "no/folder/x.png")],
        ["mark", str(photo), "-o", str(tmp_path / "x.png"), "--id", "xyz"],
        ["generate", "x", "-o", str(tmp_path / "x.mp4"), "--size", "large"],
        ["generate"],
        ["no-such-command"],
        ["keys", "issue", "acme", "--scope", "fly"],
        ["keys", "revoke", "key_nobody"],
    ):
        assert run(arguments) == 2, arguments
        assert len(capsys.readouterr().err) > 10


def test_a_clip_is_generated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = tmp_path / "clip.mp4"
    assert run(["generate", "a red balloon over a blue sea at dusk", "-o", str(clip), *SMALL, "--json"]) == 0
    (made,) = lines(capsys)
    assert run(["verify", str(clip), "--json"]) == 0
    (report,) = lines(capsys)
    assert (report["verdict"], report["watermark"]["id"]) == ("made_here", made["id"])


def test_a_refused_prompt_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = tmp_path / "clip.mp4"
    assert run(["generate", "press photo of Angela Merkel", "-o", str(clip), *SMALL]) == 2
    assert "PERSON." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_setting_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASSAY_HOEM", "/x")
    assert run(["doctor"]) == 2
    assert "ASSAY_HOME" in capsys.readouterr().err


def test_api_keys_are_issued_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "issue", "acme", "--days", "3"]) == 0
    (issued,) = lines(capsys)
    assert issued["key"].startswith("assay_")
    assert run(["keys", "revoke", issued["id"]]) == 0
    assert run(["keys", "revoke", issued["id"]]) == 2


def test_the_benchmarks_belong_to_the_checkout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(["bench", "watermark", "--quick"]) == 2
    assert "checkout" in capsys.readouterr().err


def test_an_open_service_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--host", "0.0.0.0"]) == 2
    assert "ASSAY_AUTH" in capsys.readouterr().err

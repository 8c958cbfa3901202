"""The wheel holds what it must, and each import name is ours.

The generic names collide with two packages on public indexes (docs/adr/0001-import-names.md), so the
failure names the intruder.
"""

import importlib.util
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE_DATA = (
    "policies/default.yaml",
    "policies/strict.yaml",
    "policies/lists/characters.jsonl",
    "service/web/index.html",
    "provenance/trust_lists/README.md",
    "generator/tiny/weights/model_index.json",
    "guard/ideas.safetensors",
    "generator/tiny/weights/vae/diffusion_pytorch_model.safetensors",
)
NAMES = ("guard", "watermark", "provenance", "generator", "policies", "service")


@pytest.mark.parametrize("name", NAMES)
def test_each_import_name_resolves_to_this_tree(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(ROOT), f"{name} is taken by {spec.origin}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True)
    return next(out.glob("assay-*.whl"))


def test_wheel_holds_exactly_the_declared_names(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(NAMES)


@pytest.mark.parametrize("path", PACKAGE_DATA)
def test_wheel_carries_its_data(wheel: Path, path: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert path in archive.namelist()


def test_weights_stay_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        weights = [info for info in archive.infolist() if info.filename.endswith(".safetensors")]
    assert weights
    tiny = [info.file_size for info in weights if info.filename.startswith("generator/")]
    assert sum(tiny) <= 16 * 2**20
    assert sum(info.file_size for info in weights) - sum(tiny) <= 8 * 2**20  # the classifier of ideas


def test_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """A fresh environment sees the locked dependencies, but this checkout only through the wheel."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env/bin/python"
    site = next((tmp_path / "env/lib").glob("python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # A .pth line adds the dependencies; .pth files inside that folder (our own) are not followed.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    code = (
        "import sys; from importlib.resources import files\n"
        f"for path in {PACKAGE_DATA!r}:\n"
        "    package, rest = path.split('/', 1)\n"
        "    assert files(package).joinpath(rest).is_file(), path\n"
        f"    assert str(files(package)).startswith({str(site)!r}), files(package)\n"
        "from service.cli import main; sys.argv = ['assay', '--version']; main()\n"
    )
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("0.1.0")

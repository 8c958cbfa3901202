"""Imports point one way (docs/architecture.md), and only ``service`` reads the environment."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "policies": set[str](),
    "guard": {"policies"},
    "watermark": set[str](),
    "provenance": {"watermark"},
    "generator": {"guard", "policies", "watermark", "provenance"},
    "service": {"guard", "policies", "watermark", "provenance", "generator"},
}
# Not in the wheel: `assay bench` starts the benchmark of a checkout by name, at run time.
OUTSIDE = {"bench", "demo", "tests"}


def modules(package: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        yield path, ast.parse(path.read_text(), filename=str(path))


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.split(".")[0]


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_down(package: str) -> None:
    forbidden = (set(ALLOWED) | OUTSIDE) - ALLOWED[package] - {package}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path, tree in modules(package)
        for line, name in imported(tree)
        if name in forbidden
    ]
    assert wrong == []


@pytest.mark.parametrize("package", sorted(ALLOWED.keys() - {"service"}))
def test_only_the_service_reads_the_environment(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in modules(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ALLOWED)
def test_no_assert_is_used_as_validation(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in modules(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
    assert wrong == []

"""What is committed about the surface agrees with the surface: API reference, deployment examples."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from service.api.reference import METHODS, document_only, reference
from service.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def test_the_committed_reference_is_the_documents() -> None:
    """`python -m service.api.reference docs/api.md` writes it again."""
    assert (ROOT / "docs/api.md").read_text("utf-8") == reference(document_only())


def test_every_route_is_in_the_reference() -> None:
    text = (ROOT / "docs/api.md").read_text("utf-8")
    for path, methods in document_only().openapi()["paths"].items():
        for method in set(METHODS) & set(methods):
            assert f"### `{method.upper()} {path}`" in text


def documents(path: Path) -> list[Any]:
    return list(YAML(typ="safe").load_all(path.read_text("utf-8")))


@pytest.mark.parametrize(
    "name", ["compose.yaml", "kubernetes/assay.yaml", "kubernetes/ray.yaml", "Containerfile"]
)
def test_every_variable_in_the_examples_is_a_setting(name: str) -> None:
    text = (DEPLOY / name).read_text("utf-8")
    known = {f"ASSAY_{field.upper()}" for field in Settings.__dataclass_fields__}
    used = set(re.findall(r"\bASSAY_[A-Z_]+\b", text))
    assert used
    assert used <= known


def test_no_container_runs_as_root_or_writes_to_its_image() -> None:
    for document in documents(DEPLOY / "kubernetes/assay.yaml"):
        if document["kind"] != "Deployment":
            continue
        pod = document["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in [*pod["containers"], *pod["initContainers"]]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
    services = documents(DEPLOY / "compose.yaml")[0]["services"]
    assert all(services[name]["read_only"] for name in ("api", "worker"))

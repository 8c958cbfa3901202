"""The deployment examples agree with the settings, the lock file and each other."""

import re
from pathlib import Path
from typing import Any

import pytest

from service.cluster.scaling import Scale
from service.settings import Settings
from tests.service.test_reference import DEPLOY, ROOT, documents

RAY, PLAIN = DEPLOY / "kubernetes/ray.yaml", DEPLOY / "kubernetes/assay.yaml"


@pytest.fixture(scope="module")
def cluster() -> Any:
    (document,) = documents(RAY)
    return document


def pods(cluster: Any) -> list[Any]:
    return [
        cluster["spec"]["headGroupSpec"]["template"]["spec"],
        cluster["spec"]["workerGroupSpecs"][0]["template"]["spec"],
    ]


def plain(kind: str) -> dict[str, Any]:
    return {one["metadata"]["name"]: one for one in documents(PLAIN) if one["kind"] == kind}


def environment(container: Any) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


def settings_of(container: Any) -> Settings:
    """What the container's processes read: the ConfigMap and its own variables."""
    given = {**plain("ConfigMap")["assay"]["data"], **environment(container)}
    return Settings.from_env({name: value for name, value in given.items() if name.startswith("ASSAY_")})


def test_ray_is_the_version_of_the_lock_file_and_asks_for_a_token(cluster: Any) -> None:
    locked = re.search(r"^ray==(.+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked is not None
    assert cluster["spec"]["rayVersion"] == locked[1]
    assert cluster["apiVersion"] == "ray.io/v1"
    assert cluster["spec"]["authOptions"] == {"mode": "token"}


def test_the_fleet_fits_its_cluster(cluster: Any) -> None:
    head, worker = (pod["containers"][0] for pod in pods(cluster))
    settings, group = settings_of(head), cluster["spec"]["workerGroupSpecs"][0]
    scale = Scale.of(settings)
    assert (settings.engine, settings.ray_address) == ("ray", "auto")
    assert (scale.least, scale.most) == (group["minReplicas"], group["maxReplicas"])
    assert scale.most > scale.least
    limits = worker["resources"]["limits"]
    assert float(limits["cpu"]) == settings.ray_cpus_per_worker
    assert float(limits["nvidia.com/gpu"]) == settings.ray_gpus_per_worker
    assert cluster["spec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    settings_of(worker)


def test_what_the_pods_refer_to_is_there(cluster: Any) -> None:
    spaces, maps, claims = plain("Namespace"), plain("ConfigMap"), plain("PersistentVolumeClaim")
    secrets = set(re.findall(r"secret generic (\S+)", PLAIN.read_text()))
    assert cluster["metadata"]["namespace"] in spaces
    for pod in pods(cluster):
        volumes = {one["name"]: one for one in pod["volumes"]}
        assert volumes["home"]["persistentVolumeClaim"]["claimName"] in claims
        assert volumes["secret"]["secret"]["secretName"] in secrets
        for container in pod["containers"]:
            assert {one["name"] for one in container["volumeMounts"]} <= volumes.keys()
            assert all(one["configMapRef"]["name"] in maps for one in container["envFrom"])
            (url,) = [one for one in container["env"] if one["name"] == "ASSAY_DATABASE_URL"]
            assert url["valueFrom"]["secretKeyRef"]["name"] in secrets


def test_pods_of_ray_are_as_closed_as_the_others(cluster: Any) -> None:
    deployments = plain("Deployment")
    images = {one["image"] for one in deployments["api"]["spec"]["template"]["spec"]["containers"]}
    for pod in pods(cluster):
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in [*pod["containers"], *pod["initContainers"]]:
            assert container["image"] in images
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
        (main,) = pod["containers"]
        assert environment(main)["RAY_USAGE_STATS_ENABLED"] == "0"
        assert "$KUBERAY_GEN_RAY_START_CMD" in main["args"][0]


def test_the_compose_file_starts_one_api_and_workers_that_scale() -> None:
    (compose,) = documents(DEPLOY / "compose.yaml")
    services = compose["services"]
    for name, workers in (("api", 0), ("worker", 1)):
        given = {key: str(value) for key, value in services[name]["environment"].items() if key != "<<"}
        plain_values = {key: value for key, value in given.items() if "${" not in value}
        assert Settings.from_env(plain_values).workers == workers
    assert "ports" not in services["worker"]  # or it could not be scaled
    assert Path(DEPLOY / compose["x-assay"]["build"]["context"]).resolve() == ROOT

"""Each manifest against its schema with unknown fields refused; whether an operator runs it is not tested here."""

import shlex
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.cluster import kuberay
from tests.test_commands import check as check_command

FOLDER = Path(__file__).parents[2] / "cluster" / "kuberay"
KUBERNETES = "1.34"
Manifest = dict[str, Any]


def manifests(*names: str) -> list[Manifest]:
    files = [FOLDER / name for name in names] or sorted(FOLDER.glob("*.yaml"))
    return [manifest for file in files for manifest in yaml.safe_load_all(file.read_text())]


def check(manifest: Manifest) -> None:
    """Raises jsonschema's or kubernetes_validate's ValidationError, which say where."""
    if manifest["apiVersion"].startswith("ray.io/"):
        jsonschema.validate(manifest, kuberay.schema(manifest["kind"]))
        for template in kuberay.pod_templates(manifest):
            whole = {"apiVersion": "v1", "kind": "PodTemplate", "template": template}
            kubernetes_validate.validate(whole, KUBERNETES, strict=True)
    else:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def name_of(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


@pytest.mark.parametrize("manifest", manifests(), ids=name_of)
def test_kubernetes_takes_the_manifest(manifest: Manifest) -> None:
    check(manifest)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("autoscalerOption:", "autoscalerOptions:"),
        ("minReplica:", "minReplicas:"),
        ("enviromentFrom:", "envFrom:"),
        ("capabilites:", "capabilities:"),
        ("clusterSelectors:", "clusterSelector:"),
        ("minAvailables:", "minAvailable:"),
    ],
)
def test_a_misspelt_field_is_refused(wrong: str, right: str) -> None:
    texts = [file.read_text() for file in FOLDER.glob("*.yaml") if right in file.read_text()]
    assert texts
    documents = [
        each for each in yaml.safe_load_all(texts[0].replace(right, wrong)) if wrong[:-1] in str(each)
    ]
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(documents[0])


@pytest.mark.parametrize("file", ["cluster.yaml", "service.yaml"])
def test_pods_run_without_rights_and_say_whether_they_live(file: str) -> None:
    templates = list(kuberay.pod_templates(manifests(file)))
    assert len(templates) >= 2
    for template in templates:
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            assert not container["securityContext"]["allowPrivilegeEscalation"]
            assert container["livenessProbe"]
            assert container["readinessProbe"]
            assert container["resources"]["limits"]["memory"]
            assert container["image"].startswith("REGISTRY/samuel:0.1.0-")
            assert ("gpu" in container["image"]) == ("nvidia.com/gpu" in container["resources"]["limits"])


def test_clusters_ask_for_a_token_and_are_disrupted_with_care() -> None:
    clusters = [each["spec"] for each in manifests() if each["kind"] == "RayCluster"]
    clusters += [each["spec"]["rayClusterConfig"] for each in manifests() if each["kind"] == "RayService"]
    assert len(clusters) == 2
    assert all(cluster["authOptions"] == {"mode": "token"} for cluster in clusters)
    budgets = [each for each in manifests() if each["kind"] == "PodDisruptionBudget"]
    assert len(budgets) == 2


def test_workers_of_the_batch_cluster_come_from_zero() -> None:
    cluster = next(each for each in manifests("cluster.yaml") if each["kind"] == "RayCluster")["spec"]
    assert cluster["enableInTreeAutoscaling"]
    assert {group["groupName"]: group["minReplicas"] for group in cluster["workerGroupSpecs"]} == {
        "cpu": 0,
        "gpu": 0,
    }


def test_jobs_go_to_the_cluster_that_is_there() -> None:
    (cluster,) = [each["metadata"]["name"] for each in manifests() if each["kind"] == "RayCluster"]
    jobs = [each for each in manifests() if each["kind"] == "RayJob"]
    assert {job["metadata"]["name"] for job in jobs} == {"build", "train", "generate", "evaluate"}
    for job in jobs:
        assert job["spec"]["clusterSelector"] == {"ray.io/cluster": cluster}
        check_command(shlex.split(job["spec"]["entrypoint"].replace("/opt/samuel/", "")))


def test_the_app_is_the_one_of_serve_yaml() -> None:
    (service,) = [each["spec"] for each in manifests() if each["kind"] == "RayService"]
    assert yaml.safe_load(service["serveConfigV2"]) == yaml.safe_load(
        (FOLDER.parent / "serve.yaml").read_text()
    )

"""What KubeRay 1.7 (ray.io/v1) takes, as JSON Schema: the fields that the manifests here use, and no others.

An unknown or misspelt field is an error, as in the operator's own definitions, of which this is a part. Pod templates
are Kubernetes' own: `pod_templates` finds them, for Kubernetes' own schema.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TRUTH: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
TEMPLATE: Schema = {"type": "object", "required": ["spec"]}
QUANTITIES: Schema = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}


def fields(*required: str, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


CLUSTER = fields(
    "headGroupSpec",
    rayVersion=TEXT,
    authOptions=fields(mode={"enum": ["disabled", "token"]}, secretName=TEXT),
    enableInTreeAutoscaling=TRUTH,
    autoscalerOptions=fields(
        version={"enum": ["v1", "v2"]},
        idleTimeoutSeconds=COUNT,
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        resources=fields(requests=QUANTITIES, limits=QUANTITIES),
    ),
    headGroupSpec=fields("template", rayStartParams=TEXTS, template=TEMPLATE),
    workerGroupSpecs={
        "type": "array",
        "items": fields(
            "groupName",
            "maxReplicas",
            "minReplicas",
            "template",
            groupName=TEXT,
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            idleTimeoutSeconds=COUNT,
            priority=COUNT,
            rayStartParams=TEXTS,
            template=TEMPLATE,
        ),
    },
)
JOB = fields(
    entrypoint=TEXT,
    clusterSelector=TEXTS,
    rayClusterSpec=CLUSTER,
    runtimeEnvYAML=TEXT,
    shutdownAfterJobFinishes=TRUTH,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
)
SERVICE = fields(
    "rayClusterConfig",
    rayClusterConfig=CLUSTER,
    serveConfigV2=TEXT,
    upgradeStrategy=fields(type={"enum": ["NewCluster", "NewClusterWithIncrementalUpgrade", "None"]}),
    rayClusterDeletionDelaySeconds=COUNT,
)
KINDS = {"RayCluster": CLUSTER, "RayJob": JOB, "RayService": SERVICE}


def schema(kind: str) -> Schema:
    """Of a whole manifest."""
    return fields(
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        apiVersion={"const": "ray.io/v1"},
        kind={"const": kind},
        metadata=fields("name", name=TEXT, labels=TEXTS, annotations=TEXTS),
        spec=KINDS[kind],
    )


def pod_templates(manifest: object) -> Iterator[dict[str, Any]]:
    """All pod templates in a manifest, wherever they are."""
    if isinstance(manifest, dict):
        for name, value in manifest.items():
            if name == "template":
                yield value
            else:
                yield from pod_templates(value)
    elif isinstance(manifest, list):
        for value in manifest:
            yield from pod_templates(value)

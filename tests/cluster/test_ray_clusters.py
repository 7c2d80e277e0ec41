"""The clusters of `ray up` are ones that Ray takes, and their machines ones that the cloud's own interface knows."""

import copy
import json
import shlex
from pathlib import Path
from typing import Any

import botocore.session
import googleapiclient
import pytest
import yaml
from botocore.validate import ParamValidator

import ray.autoscaler._private.util as autoscaler

CLUSTER = Path(__file__).parents[2] / "cluster"
FILES = [CLUSTER / "aws.yaml", CLUSTER / "gcp.yaml"]
Config = dict[str, Any]


def read(file: Path) -> Config:
    return yaml.safe_load(file.read_text())


def machines(config: Config) -> dict[str, Config]:
    """What is asked of the cloud, by kind of node."""
    return {name: kind["node_config"] for name, kind in config["available_node_types"].items()}


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def config(request: pytest.FixtureRequest) -> Config:
    return read(request.param)


def test_ray_takes_the_configuration(config: Config) -> None:
    autoscaler.validate_config(autoscaler.prepare_config(config))


@pytest.mark.parametrize("where", ["", "docker", "gpu-spot"])
def test_ray_would_refuse_a_misspelt_key(config: Config, where: str) -> None:
    wrong = copy.deepcopy(config)
    {"": wrong, "docker": wrong["docker"]}.get(where, wrong["available_node_types"]["gpu-spot"])[
        "misspelt"
    ] = 5
    with pytest.raises(Exception, match="misspelt"):
        autoscaler.validate_config(autoscaler.prepare_config(wrong))


def aws_errors(machine: Config) -> str:
    """What EC2's model of RunInstances says of a machine; Ray adds the counts."""
    model = botocore.session.get_session().get_service_model("ec2").operation_model("RunInstances")
    return (
        ParamValidator()
        .validate(machine | {"MinCount": 1, "MaxCount": 1}, model.input_shape)
        .generate_report()
    )


def test_ec2_knows_all_that_is_asked_of_it() -> None:
    for machine in machines(read(CLUSTER / "aws.yaml")).values():
        assert not aws_errors(machine)
    assert "MarketTyp" in aws_errors(machine | {"InstanceMarketOptions": {"MarketTyp": "spot"}})


def google_errors(
    value: Any, schema: Config, schemas: dict[str, Config], where: str = "instance"
) -> list[str]:
    """Unknown fields and values of another type, by the schemas of Google's own client."""
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    kind: type = {"object": dict, "array": list, "boolean": bool, "integer": int}.get(schema["type"], str)
    if not isinstance(value, kind):
        return [f"{where}: expected {schema['type']}, got {value!r}"]
    if isinstance(value, list):
        parts = [(each, schema["items"], f"{where}[]") for each in value]
    elif isinstance(value, dict):
        unknown = [name for name in value if name not in schema["properties"]]
        if unknown:
            return [f"{where}: {name} is unknown" for name in unknown]
        parts = [(each, schema["properties"][name], f"{where}.{name}") for name, each in value.items()]
    elif value not in schema.get("enum", [value]):
        return [f"{where}: {value} is none of {schema['enum']}"]
    else:
        return []
    return [error for each, its, at in parts for error in google_errors(each, its, schemas, at)]


def test_compute_engine_knows_all_that_is_asked_of_it() -> None:
    documents = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    schemas = json.loads((documents / "compute.v1.json").read_text())["schemas"]
    for machine in machines(read(CLUSTER / "gcp.yaml")).values():
        assert google_errors(machine, schemas["Instance"], schemas) == []
    for wrong in ({"provisioningModel": "SPOTTY"}, {"preemptable": True}, {"preemptible": "yes"}):
        assert len(google_errors({"scheduling": wrong}, schemas["Instance"], schemas)) == 1


def test_workers_come_from_zero_and_spot_comes_first(config: Config) -> None:
    kinds = config["available_node_types"]
    assert all(kind.get("min_workers", 0) == 0 for kind in kinds.values())
    assert kinds["gpu-spot"]["resources"] == kinds["gpu-on-demand"]["resources"]
    assert kinds["gpu-spot"]["priority"] > kinds["gpu-on-demand"].get("priority", 0)
    assert "spot" in json.dumps(kinds["gpu-spot"]["node_config"]).lower()
    assert "spot" not in json.dumps(kinds["gpu-on-demand"]["node_config"]).lower()
    assert kinds["head"]["resources"] == {"CPU": 0}


def test_nodes_know_the_storage_ask_for_a_token_and_run_one_version(config: Config) -> None:
    options = shlex.split(" ".join(config["docker"]["run_options"]))
    assert "SAMUEL_STORAGE=s3://BUCKET" in options
    assert "RAY_AUTH_MODE=token" in options
    assert list(config["file_mounts"]) == ["/home/ray/.ray"]
    images = [config["docker"]["head_image"], config["docker"]["worker_image"]]
    assert {image.rpartition("-")[0] for image in images} == {"REGISTRY/samuel:0.1.0"}


def test_no_port_is_opened_to_the_world_and_no_key_is_written_down(config: Config) -> None:
    text = yaml.safe_dump(config)
    assert "0.0.0.0" not in text
    assert "SECRET" not in text.upper().replace("SECRETS VERSIONS ACCESS LATEST --SECRET=SAMUEL-STORAGE", "")
    assert "ACCESS_KEY" not in text.upper()

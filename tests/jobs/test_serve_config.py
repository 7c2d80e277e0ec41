"""cluster/serve.yaml is a configuration that Ray Serve and the app take."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.serve import app
from jobs.serving.settings import Settings
from tests.jobs.local_service import write_tiny_checkpoint

from ray.serve.schema import DeploymentSchema, ServeDeploySchema

CONFIG = Path(__file__).parents[2] / "cluster" / "serve.yaml"


def test_serve_and_the_app_take_the_configuration() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    ServeDeploySchema(**config)
    (application,) = config["applications"]
    built = app(application["args"])
    assert Settings(**application["args"]).device == "cuda"
    studio: Any = built._bound_deployment
    names = {studio.name} | {one._bound_deployment.name for one in studio.init_args[1:]}
    for deployment in application["deployments"]:
        assert deployment["name"] in names
        assert set(deployment) <= set(DeploymentSchema.model_fields)  # Serve ignores what it does not know


@pytest.mark.parametrize(
    ("device", "batch", "resource"),
    [("cuda", 16, "num_gpus"), ("cpu", 1, "num_cpus")],
)
def test_workers_take_what_the_device_needs(tmp_path: Path, device: str, batch: int, resource: str) -> None:
    checkpoint = write_tiny_checkpoint(tmp_path)
    studio: Any = app({"checkpoint": checkpoint, "device": device, "samplers": 3})._bound_deployment
    windows = studio.init_args[1]._bound_deployment
    assert windows.ray_actor_options[resource] == 0.6
    assert windows.user_config["batch_size"] == batch
    assert windows._deployment_config.autoscaling_config.max_replicas == 3
    assert windows.max_ongoing_requests >= 2 * batch  # else a batch never fills


def test_a_checkpoint_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"no checkpoint at {tmp_path}"):
        app({"checkpoint": str(tmp_path)})

"""The cluster's configuration is one that Ray takes; whether a cloud does is not tested here."""

from pathlib import Path

import pytest
import yaml

import ray.autoscaler._private.util as autoscaler

AWS = Path(__file__).parents[1] / "cluster" / "aws.yaml"


def test_ray_takes_the_configuration() -> None:
    config = autoscaler.prepare_config(yaml.safe_load(AWS.read_text()))
    autoscaler.validate_config(config)
    assert config["available_node_types"]["gpu"]["resources"]["GPU"] == 1


def test_ray_would_refuse_a_misspelt_key() -> None:
    config = yaml.safe_load(AWS.read_text()) | {"idle_timeout_minute": 5}
    with pytest.raises(Exception, match="idle_timeout_minute"):
        autoscaler.validate_config(autoscaler.prepare_config(config))


def test_every_node_knows_where_the_storage_is() -> None:
    config = yaml.safe_load(AWS.read_text())
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert "SAMUEL_STORAGE=s3://" in config[commands][-1]

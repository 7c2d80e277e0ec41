"""Ray's fake nodes, each with a folder and a kind of its own, as machines have.

Ray's share the head's folder, where each new node unpacks a job's files again while the others' workers import them,
and they all call themselves of the head's kind.
"""

import os
import tempfile
from functools import partial
from typing import Any
from unittest import mock

from ray._private import parameter
from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE


class FakeNodes(FakeMultiNodeProvider):
    def _create_node_with_resources_and_labels(
        self, node_config: Any, tags: dict[str, str], count: int, resources: Any, labels: Any
    ) -> None:
        folder = tempfile.mkdtemp(prefix="", dir=self.provider_config["folder"])
        own_folder = mock.patch.object(parameter, "RayParams", partial(parameter.RayParams, temp_dir=folder))
        own_kind = mock.patch.dict(os.environ, {"RAY_NODE_TYPE_NAME": tags[TAG_RAY_USER_NODE_TYPE]})
        with self.lock, own_folder, own_kind:
            super()._create_node_with_resources_and_labels(node_config, tags, count, resources, labels)

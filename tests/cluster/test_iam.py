"""The roles allow what the code does, and not much more."""

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from aiobotocore.client import AioBaseClient

from samuel.catalogue.songs import Song
from samuel.popdb import Store
from samuel.popdb.failures import failure_of
from samuel.storage import absolute, as_path, check_writable, delete, read_bytes, size_of, store_file
from samuel.storage.lease import Lease
from tests.s3 import S3Location
from tests.training.popdbs import IDENTITY, table

FOLDER = Path(__file__).parents[2] / "cluster" / "iam"

ALLOWED_BY = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject",
}
"""The permission that a call to S3 needs, from Amazon's service authorization reference."""


def statements(name: str) -> list[dict[str, Any]]:
    return json.loads((FOLDER / f"{name}.json").read_text())["Statement"]


def actions(name: str) -> set[str]:
    given = [statement["Action"] for statement in statements(name)]
    return {action for each in given for action in ([each] if isinstance(each, str) else each)}


@pytest.fixture
def calls(s3: S3Location, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The operations of S3 that were called, by name."""
    made: set[str] = set()
    call = AioBaseClient._make_api_call

    async def recorded(self: AioBaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        made.add(operation)
        return await call(self, operation, parameters)

    monkeypatch.setattr(AioBaseClient, "_make_api_call", recorded)
    return made


def test_the_role_of_the_storage_is_what_a_popdb_needs(
    calls: set[str], s3: S3Location, tmp_path: Path
) -> None:
    (tmp_path / "song.wav").write_bytes(bytes(110_000_000))  # large enough for an upload in parts
    store = Store.at(f"{s3.url}/popdb")
    check_writable(store.root)
    with Lease(store.root) as lease:
        store.claim(IDENTITY)
        store.remove_leftovers()
        store.write_song("0" * 16, table("0" * 16, 0, 1))
        for shard in store.plan_merge(store.contents().sources):
            store.write_shard(shard)
        store_file(tmp_path / "song.wav", as_path(store.audio / "song.wav"))
        assert size_of(absolute(store.audio / "song.wav")) == 110_000_000
        song = Song("1" * 16, "Title", "", "/song", "audio")
        store.write_failure(failure_of(song, "decode", "no audio", 1))
        store.write_failures_table()
        store.clear_failure(song.song_id)
        lease.require()
    read_bytes(store.shard_files()[0])
    delete(store.audio / "song.wav")
    assert {"UploadPart", "PutObject", "ListObjectsV2"} <= calls
    assert {ALLOWED_BY[call] for call in calls} <= actions("storage")
    assert all("BUCKET" in str(statement["Resource"]) for statement in statements("storage"))


def test_the_head_may_do_no_more_than_start_and_end_its_own_machines() -> None:
    operations = botocore.session.get_session().get_service_model("ec2").operation_names
    assert all(action.removeprefix("ec2:") in operations for action in actions("head") - {"iam:PassRole"})
    for statement in statements("head"):
        may = statement["Action"]
        if isinstance(may, str) or not all(action.startswith("ec2:Describe") for action in may):
            assert statement["Resource"] != "*"
    bound = [each for each in statements("head") if "Terminate" in str(each["Action"])]
    assert [each["Condition"]["StringEquals"] for each in bound] == [
        {"aws:ResourceTag/ray-cluster-name": "samuel"}
    ]


def test_no_role_may_do_all() -> None:
    for file in FOLDER.glob("*.json"):
        if file.stem != "trust":
            assert not any("*" in action for action in actions(file.stem))


def test_the_head_may_start_the_machines_of_the_cluster_and_no_others() -> None:
    config = yaml.safe_load((FOLDER.parent / "aws.yaml").read_text())
    kinds = config["available_node_types"].items()
    wanted = {kind["node_config"]["InstanceType"] for name, kind in kinds if name != "head"}
    (start,) = [
        each for each in statements("head") if "Condition" in each and each["Action"] == "ec2:RunInstances"
    ]
    assert set(start["Condition"]["StringEquals"]["ec2:InstanceType"]) == wanted
    assert start["Condition"]["StringEquals"]["aws:RequestTag/ray-cluster-name"] == config["cluster_name"]

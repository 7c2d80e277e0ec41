"""The service against its own OpenAPI specification: requests drawn from it, right and wrong, by schemathesis."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from jobs.serving.settings import Settings
from tests.jobs.local_service import running, write_tiny_checkpoint

ANSWERED_IN_TIME = 30.0

load_all_checks()
# A specification cannot say which bytes are a vocal recording, nor which ids there are.
REFUSED_ALL_THE_SAME = [CHECKS.get_one("positive_data_acceptance")]


@pytest.fixture(scope="module")
def specification(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    service_settings = Settings(
        checkpoint=write_tiny_checkpoint(tmp_path_factory.mktemp("run")), separator="spleeter", threads=1
    )
    with running(service_settings, tmp_path_factory.mktemp("spool")) as service:
        yield schemathesis.openapi.from_url(f"{service.address}/openapi.json")


BOTH = pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])


@BOTH
def test_answers_are_as_specified(specification: Any, mode: GenerationMode) -> None:
    assert asked(specification, mode, 20, derandomize=True) > 40


@pytest.mark.fuzz
@BOTH
def test_answers_to_thousands_of_requests_are_as_specified(specification: Any, mode: GenerationMode) -> None:
    assert asked(specification, mode, 100, derandomize=False) > 200


def asked(specification: Any, mode: GenerationMode, examples: int, *, derandomize: bool) -> int:
    """The number of requests made, at most `examples` of each operation; every answer is as specified."""
    tried = 0
    for found in specification.get_all_operations():
        operation = found.ok()
        strategy = operation.as_strategy(generation_mode=mode)

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=derandomize,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def check(case: Any) -> None:
            nonlocal tried
            tried += 1
            answer = case.call(timeout=ANSWERED_IN_TIME)
            case.validate_response(answer, excluded_checks=REFUSED_ALL_THE_SAME)

        with contextlib.suppress(Unsatisfiable):  # of some operations nothing can be wrong
            check()
    return tried

"""Ray's start on this machine: few processes, long deadlines, one sentence where there is no hope."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jobs.runtime.node import StartError, patiently
from jobs.runtime.patience import ENVIRONMENT, SERVING_SECONDS, wait_for_proxies

import ray

ROOT = Path(__file__).parents[3]


def test_a_node_has_no_monitor_and_no_dashboard_and_takes_runtime_environments(local_ray: None) -> None:
    commands = [" ".join(one.cmdline()) for one in psutil.Process().children(recursive=True)]
    assert any("gcs_server" in one for one in commands)
    assert not [
        one for one in commands if ("monitor.py" in one and "log_monitor" not in one) or "dashboard.py" in one
    ]

    @ray.remote(runtime_env={"env_vars": {"SAMUEL_TEST": "here"}})
    def of_its_environment() -> tuple[str, int]:
        return os.environ["SAMUEL_TEST"], ray._raylet.Config.worker_register_timeout_seconds()

    found, seconds = ray.get(of_its_environment.remote())
    assert found == "here"
    assert seconds == int(ENVIRONMENT["RAY_worker_register_timeout_seconds"])


def test_serve_takes_its_deadlines() -> None:
    from ray.serve._private import api, client, constants

    assert (
        float(ENVIRONMENT["RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S"]) == constants.PROXY_READY_CHECK_TIMEOUT_S
    )
    assert (
        float(ENVIRONMENT["RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S"]) == constants.PROXY_HEALTH_CHECK_TIMEOUT_S
    )
    assert api.HTTP_PROXY_TIMEOUT  # else Ray has given it another name
    assert client.HTTP_PROXY_TIMEOUT
    wait_for_proxies()
    assert api.HTTP_PROXY_TIMEOUT == client.HTTP_PROXY_TIMEOUT == SERVING_SECONDS


def test_what_the_environment_has_holds() -> None:
    name = "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S"
    code = f"import jobs, os; print(os.environ['{name}'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {name: "7"}, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.strip() == "7"


def test_a_node_is_waited_for_until_it_is_there_or_its_raylet_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter([RuntimeError("not yet"), RuntimeError("not yet"), "there"])

    def get_node() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("jobs.runtime.node.raylet_lives", lambda: True)
    assert patiently(get_node)() == "there"
    monkeypatch.setattr("jobs.runtime.node.raylet_lives", lambda: False)
    answers = iter([RuntimeError("not yet")])
    with pytest.raises(StartError, match="its raylet has ended"):
        patiently(get_node)()


def test_a_start_without_hope_is_one_line(tmp_path: Path) -> None:
    """Ray's folder cannot be made."""
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "march.mid").write_bytes(b"?")
    command = [sys.executable, "jobs/render_songs.py", "--scores", tmp_path, "--out", tmp_path / "out"]
    done = subprocess.run(
        command,
        env=os.environ | {"RAY_TMPDIR": f"{tmp_path}/file", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "error: Ray does not start: " in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 4

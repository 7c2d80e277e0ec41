"""A Ray cluster in processes of its own, as `ray up` makes one: jobs are submitted to it, nodes come and go.

Worker nodes are Ray's own fakes: raylets on this machine, started and ended by the real autoscaler (v2), whose
CPUs and GPUs are numbers that nobody checks.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import psutil
import tenacity
import yaml

from tests.jobs.fake_nodes import FakeNodes
from tests.s3 import free_ports

import ray.autoscaler
import ray.util

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
HEAD_ID, HEAD_TYPE = "fffffffffffffffffffffffffffffffffffffffffffffffffff00000", "ray.head.default"
"""What Ray's provider of fake nodes calls the head."""


class Died(Exception):
    """The head ended by itself; the message is the end of its log."""


class Cluster:
    """A head, and up to `gpu_nodes` nodes of one core and one GPU that the autoscaler adds and removes.

    `environment` is that of all nodes, and so of submitted jobs. With a `token`, Ray answers nobody without it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        cpus: int = 2,
        gpu_nodes: int = 0,
        token: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        self.gpu_nodes, self.folder, self.cpus = gpu_nodes, folder, cpus
        access = (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {"RAY_AUTH_MODE": "disabled"}
        )
        self.environment = os.environ | access
        self.environment["PATH"] = f"{BIN}:{os.environ['PATH']}"  # `python` has the packages, as in the image
        self.environment["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = (
            "0"  # or workers would be `uv run pytest`, as this is
        )
        self.environment |= environment or {}

    def __enter__(self) -> "Cluster":
        self.start()
        return self

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(Died), stop=tenacity.stop_after_attempt(4), reraise=True
    )
    def start(self) -> None:
        """Start the head and wait for it; again where a busy machine was too slow for Ray's own time limits."""
        self.port, self.dashboard, agent, client = free_ports(4)
        self.url = f"http://127.0.0.1:{self.dashboard}"
        # in /tmp, since sockets' names have a limit
        self.sockets = tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True)
        command = [f"{BIN}/ray", "start", "--head", "--block", "--disable-usage-stats"]
        command += [f"--port={self.port}", f"--dashboard-port={self.dashboard}", f"--num-cpus={self.cpus}"]
        command += [f"--ray-client-server-port={client}", f"--dashboard-agent-listen-port={agent}"]
        command += [f"--temp-dir={self.sockets.name}", "--object-store-memory=200000000"]
        environment = self.environment | {"RAY_DASHBOARD_STARTUP_TIMEOUT_S": "240"}  # of a busy machine
        if self.gpu_nodes:
            command += [f"--autoscaling-config={self.autoscaling()}"]
            environment |= {
                "PYTHONPATH": str(ROOT),  # for FakeNodes, and for jobs that are the tests' own
                "RAY_FAKE_CLUSTER": "1",
                "RAY_enable_autoscaler_v2": "1",
                "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
                "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
                "RAY_NODE_TYPE_NAME": HEAD_TYPE,
                "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            }
        with (self.folder / "head.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            self.wait_until(self.answers, 300)
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """At once: a head that is asked to end waits up to half a minute for its nodes."""
        family = self.family()
        self.process.kill()
        self.process.wait()
        for process in family:
            kill(process)
        psutil.wait_procs(family, timeout=30)
        self.sockets.cleanup()

    def autoscaling(self) -> Path:
        """The configuration of the autoscaler: the head does no work, the others come when they are asked for."""
        defaults = Path(ray.autoscaler.__file__).parent / "aws" / "defaults.yaml"  # for all else, unused here
        config = yaml.safe_load(defaults.read_text()) | {
            "cluster_name": "drill",
            "max_workers": self.gpu_nodes,
            "idle_timeout_minutes": 0.1,
            "provider": {
                "type": "external",
                "module": f"{FakeNodes.__module__}.{FakeNodes.__name__}",
                "folder": self.sockets.name,
                "gcs_address": f"{ray.util.get_node_ip_address()}:{self.port}",
                "use_node_id_as_ip": True,
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
            },
            "available_node_types": {
                HEAD_TYPE: {"resources": {"CPU": self.cpus}, "node_config": {}, "max_workers": 0},
                "gpu": {"resources": {"CPU": 1, "GPU": 1}, "node_config": {}, "max_workers": self.gpu_nodes},
            },
            "head_node_type": HEAD_TYPE,
        }
        file = self.folder / "autoscaling.yaml"
        file.write_text(yaml.safe_dump(config))
        return file

    def answers(self) -> bool:
        if "Ray runtime started" not in (self.folder / "head.log").read_text():
            return (
                False  # the dashboard may be there before the head's own raylet, which may yet fail to start
            )
        try:
            urllib.request.urlopen(f"{self.url}/api/gcs_healthz", timeout=5).read()
        except (TimeoutError, urllib.error.URLError, ConnectionError):
            return False
        return True

    def family(self) -> list[psutil.Process]:
        """All processes of the cluster, those of its nodes and jobs too."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:
            return []

    def nodes(self) -> list[psutil.Process]:
        """The raylets of the worker nodes that are alive now."""
        found = []
        for process in self.family():
            try:
                if process.name() == "raylet" and process.environ().get("RAY_NODE_TYPE_NAME") == "gpu":
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def drivers(self, script: str) -> list[psutil.Process]:
        """The submitted jobs' own processes that run `script`, a file or a module."""
        found = []
        for process in self.family():
            try:
                if process.name().startswith("python") and script in process.cmdline()[1:3]:
                    found.append(process)
            except (psutil.Error, IndexError):
                continue
        return found

    def submit(self, *entrypoint: str, environment: dict[str, str] | None = None) -> "subprocess.Popen[str]":
        """`ray job submit` of the checkout, as a person types it; its output follows the job's."""
        command = [
            f"{BIN}/ray",
            "job",
            "submit",
            "--address",
            self.url,
            "--working-dir",
            ".",
            "--",
            *entrypoint,
        ]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *entrypoint: str) -> str:
        """Submit, wait for success, give the output."""
        job = self.submit(*entrypoint)
        output, _ = job.communicate()
        assert job.returncode == 0, output
        return output

    def wait_until(
        self, true: Callable[[], object], seconds: float, job: "subprocess.Popen[str] | None" = None
    ) -> None:
        """Until something is `true`, which cannot become so once the cluster or the `job` ended."""
        deadline = time.monotonic() + seconds
        while not true():
            if job and job.poll() is not None:
                raise AssertionError(f"the job ended first:\n{job.communicate()[0]}")
            if self.process.poll() is not None:
                raise Died((self.folder / "head.log").read_text()[-3000:])
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain"
            time.sleep(0.2)


def kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):
        process.kill()

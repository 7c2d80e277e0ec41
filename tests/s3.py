"""A real S3 server for the tests: SeaweedFS on loopback, credentials checked, buckets never made by accident.

`S3Server.stop()` and `.start()` give an outage in mid-test: same ports, same data.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that nobody used a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [opened.getsockname()[1] for opened in sockets]
    finally:
        for opened in sockets:
            opened.close()


class S3Server:
    """One `weed mini` process on free ports of 127.0.0.1, its data under `folder`."""

    bucket = "popdb-tests"

    def __init__(self, folder: Path):
        self.folder = folder
        self.key = "tests-" + secrets.token_hex(4)
        self.secret = secrets.token_hex(16)
        names = ["master", "filer", "volume", "s3", "admin"]
        ports = free_ports(2 * len(names))
        self._ports = dict(zip(names, zip(ports[::2], ports[1::2], strict=True), strict=True))
        self.endpoint = f"http://127.0.0.1:{self._ports['s3'][0]}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make botocore, and so s3fs and samuel, use this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self, timeout: float = 60) -> None:
        """Start on the same ports and data as before; return when signed requests are served."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [str(Path(sys.executable).parent / "weed"), "mini", f"-dir={self.folder}", "-ip=127.0.0.1"]
        command += ["-ip.bind=127.0.0.1", f"-bucket={self.bucket}", "-master.telemetry=false"]
        command += ["-s3.autoCreateBucket=false", "-webdav=false", "-admin.ui=false"]
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
        for name, (http, grpc) in self._ports.items():
            command += [f"-{name}.port={http}", f"-{name}.port.grpc={grpc}"]
        with open(self.folder / "weed.log", "ab") as log:
            self._process = process = subprocess.Popen(
                command, cwd=self.folder, env=os.environ | self.environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + timeout
        while not self._serves():
            if self._process is not process:
                return  # stopped meanwhile, from another thread
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = (self.folder / "weed.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the S3 server did not come up within {timeout:.0f} s:\n{tail}")
            time.sleep(0.1)

    def stop(self, kill: bool = False) -> None:
        """End the server, politely or by SIGKILL; connections to it are then refused."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _serves(self) -> bool:
        """True once a signed listing of the bucket succeeds (the port opens before the bucket is there)."""
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        request = AWSRequest("GET", f"{self.endpoint}/{self.bucket}?list-type=2")
        S3SigV4Auth(Credentials(self.key, self.secret), "s3", "us-east-1").add_auth(request)
        prepared = request.prepare()
        try:
            plain = urllib.request.Request(prepared.url, headers=dict(prepared.headers.items()))
            with urllib.request.urlopen(plain, timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


class S3Location:
    """A fresh prefix of a running server, with the environment set so that s3fs and samuel use it."""

    def __init__(self, server: S3Server):
        self.server = server
        self.endpoint, self.key, self.secret = server.endpoint, server.key, server.secret
        self.bucket = server.bucket
        self.url = f"s3://{server.bucket}/{secrets.token_hex(6)}"

    @classmethod
    @contextmanager
    def on(cls, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator["S3Location"]:
        """Set the environment for `server`, give a location, and leave no open session of it behind."""
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        cls.forget_sessions()
        try:
            yield cls(server)
        finally:
            cls.forget_sessions()

    @staticmethod
    def forget_sessions() -> None:
        """Make s3fs read the environment again: it keeps a session for equal settings."""
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()

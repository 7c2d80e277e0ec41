"""Turns of processes that compute with all cores of a machine.

Where torch's threads wait for each other spinning (`OMP_WAIT_POLICY=active`; `jobs` lets them sleep), two processes that
each use all cores take several times as long as one after the other: on 2 cores, four clients got a quarter of the audio
that one got.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.serving.private import private_folder


@contextmanager
def machine_lock() -> Iterator[None]:
    """Waits until no other process of this user on this machine has the turn. One that dies gives it back."""
    path = private_folder(f"samuel-turns-{os.getuid()}") / "turn"
    file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)

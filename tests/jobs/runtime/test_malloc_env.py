"""Workers' C library keeps what torch freed."""

import os
import subprocess
import sys

import pytest

from jobs.runtime.malloc_env import KEEP_FREED_MEMORY

WORK = """
import resource, threading, torch

def work():
    torch.set_num_threads(1)
    for _ in range(5):
        torch.ones(20_000_000)  # 80 MB

faults = []
for _ in range(6):  # Ray's tasks are in a thread, too
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults))  # the system may take pages away in between
"""


def page_faults(environment: dict[str, str]) -> int:
    command = [sys.executable, "-c", WORK]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | environment)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_large_blocks_are_not_mapped_anew() -> None:
    assert page_faults(KEEP_FREED_MEMORY) < 0.1 * page_faults({})

"""What `ray job submit --working-dir .` uploads: all that the jobs need, and little else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ray._private.runtime_env.packaging import create_package

ROOT = Path(__file__).parents[2]

MOST_BYTES = 80_000_000
"""Ray's dashboard refuses more than 100 MiB."""


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, as a cluster unpacks it."""
    folder = tmp_path_factory.mktemp("upload")
    package = folder / "package.zip"
    create_package(str(ROOT), package, include_gitignore=True)
    assert package.stat().st_size < MOST_BYTES
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_it_holds_the_code_and_what_lies_beside_it(uploaded: Path) -> None:
    there = {entry.name for entry in uploaded.iterdir()}
    assert {"jobs", "samuel"} <= there
    assert not there & {"tests", "cluster", ".git", ".venv", ".mypy_cache"}
    assert (uploaded / "samuel" / "codec" / "weights").is_dir()


HELP = """
import runpy, sys
sys.argv = [sys.argv[1], "--help"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert not end.code
assert "ray" not in sys.modules
"""


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ("build_popdb", "--songs --retry-failed s3://"),
        ("train", "--data --preset --workers s3://"),
        ("generate", "--mix --separate --region --variations s3:// failures.jsonl"),
        ("evaluate", "--samples --vocals --truth s3://"),
        ("prove", "--songs --try"),
        ("render_songs", "--scores --soundfont MELODY failures.jsonl"),
    ],
)
def test_a_job_teaches_from_it_alone_and_without_ray(uploaded: Path, job: str, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP, f"jobs/{job}.py"],
        cwd=uploaded,
        env={"PYTHONPATH": str(uploaded), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for word in ["--out", *words.split()]:
        assert word in done.stdout

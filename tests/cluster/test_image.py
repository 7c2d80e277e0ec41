"""The image is one that a linter takes, and its parts fit the project; no engine builds it here."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "cluster" / "Dockerfile"


def lint(text: str) -> "subprocess.CompletedProcess[str]":
    hadolint = Path(sys.executable).parent / "hadolint"
    return subprocess.run([hadolint, "-"], input=text, capture_output=True, text=True, check=False)


def test_the_linter_has_nothing_to_say() -> None:
    done = lint(DOCKERFILE.read_text())
    assert done.returncode == 0, done.stdout
    assert lint(DOCKERFILE.read_text().replace("rsync=3.2.*", "rsync")).returncode != 0


def test_versions_are_pinned_and_the_project_s_own() -> None:
    text = DOCKERFILE.read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    images = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    own = {"base", "packages-cpu", "packages-gpu"}
    assert all(re.search(r":\D*\d+\.\d+\.\d+", image) for image in images if image not in own)
    assert "python:3.11." in text
    for name in ("torch", "torchaudio"):  # the CPU image takes these from another index
        (locked,) = [each for each in project["dependencies"] if re.match(rf"{name}[<>=]", each)]
        assert f'"{locked}"' in text
    ray = next(each for each in project["dependencies"] if each.startswith("ray["))
    for file in (ROOT / "cluster" / "kuberay").glob("*.yaml"):
        for version in re.findall(r"rayVersion: (\d+\.\d+)\.\d+", file.read_text()):
            assert f">={version}," in ray
        for version in re.findall(r"samuel:([\d.]+)-", file.read_text()):
            assert version == project["version"]


def test_targets_end_as_a_user_without_rights_with_weights_in_a_volume() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE.read_text(), flags=re.MULTILINE)
    targets = {stage.split()[2]: stage for stage in stages if re.match(r"packages-\S+ AS (cpu|gpu)\n", stage)}
    assert set(targets) == {"cpu", "gpu"}
    for stage in targets.values():
        assert "USER 1000\n" in stage
        assert "VOLUME /weights\n" in stage


def test_pods_run_as_the_image_s_user() -> None:
    text = "\n".join(file.read_text() for file in (ROOT / "cluster" / "kuberay").glob("*.yaml"))
    assert set(re.findall(r"runAsUser: (\d+)", text)) == {"1000"}
    assert "mountPath: /weights" in text

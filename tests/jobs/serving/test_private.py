"""What lies in the temporary folder is ours, or not used; and of two that want it, one at a time has it."""

import os
import threading
import time
from pathlib import Path

import pytest

from jobs.serving.private import LEFT_SECONDS, HeldFolder, delete_left, is_private, private_folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_found_again_and_nobody_elses_is_taken(
    temporary: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    elsewhere.chmod(0o700)
    (temporary / "samuel-a-0").symlink_to(elsewhere)
    (temporary / "samuel-a-1").mkdir(mode=0o755)
    (temporary / "samuel-a-2").write_text("a file")
    if os.getuid() == 0:
        (temporary / "samuel-a-3").mkdir(mode=0o700)
        os.chown(temporary / "samuel-a-3", 12_345, -1)
    folder = private_folder("samuel-a")
    assert folder.name[len("samuel-a-") :] not in ("0", "1", "2", "3")
    assert is_private(folder)
    assert private_folder("samuel-a") == folder
    assert private_folder("samuel-b") != folder


def waiting_for(held: HeldFolder) -> tuple[threading.Thread, list[HeldFolder]]:
    """Another that waits for the folder, and what it will hold."""
    following: list[HeldFolder] = []
    thread = threading.Thread(
        target=lambda: following.append(HeldFolder.hold(lambda: private_folder("samuel-a")))
    )
    thread.start()
    while not (held.folder / ".awaited").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    return thread, following


def test_the_next_waits_and_finds_what_was_there(temporary: Path) -> None:
    held = HeldFolder.hold(lambda: private_folder("samuel-a"))
    (held.folder / "job").write_text("a voice")
    thread, following = waiting_for(held)
    assert not following
    held.give_up(delete=True)  # as an app does that is stopped; but it is being replaced
    thread.join(20)
    assert (following[0].folder / "job").read_text() == "a voice"
    following[0].give_up(delete=True)
    assert not list(temporary.iterdir())


def test_who_waits_for_a_folder_that_is_deleted_gets_a_new_one(temporary: Path) -> None:
    held = HeldFolder.hold(lambda: private_folder("samuel-a"))
    thread, following = waiting_for(held)
    (held.folder / ".awaited").unlink()  # as if it came just after the look
    held.give_up(delete=True)
    thread.join(20)
    assert following[0].folder.is_dir()
    assert following[0].folder != held.folder


def test_what_nobody_holds_or_uses_is_deleted(temporary: Path) -> None:
    old = time.time() - LEFT_SECONDS - 1
    held = HeldFolder.hold(lambda: private_folder("samuel-session_a"))
    left, new = private_folder("samuel-session_b"), private_folder("samuel-session_c")
    (left / "job").mkdir()
    (left / "job" / "recording").write_text("a voice")
    foreign = temporary / "samuel-session_d-1"
    foreign.mkdir(mode=0o755)
    for folder in (held.folder, left, foreign):
        os.utime(folder, (old, old))
    delete_left("samuel-session_")
    assert {path.name for path in temporary.iterdir()} == {held.folder.name, new.name, foreign.name}

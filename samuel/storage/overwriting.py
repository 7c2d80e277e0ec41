"""Nothing that is read is written over: whether two paths are one file, by whatever names.

Links, hard links, other spellings and file systems that do not tell upper case from lower count; nothing is opened.
On S3 a file is its bucket and key.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from samuel.storage import Location, StorageError, absolute, is_s3


def places(path: Location) -> set[object]:
    """Names of a file or folder: two paths that share one are the same, whether it exists or not."""
    try:
        where = absolute(path)
    except StorageError:  # an address of another kind
        return {str(path)}
    if is_s3(where):
        return {where}
    found: set[object] = {os.path.realpath(where)}
    try:
        status = os.stat(where)
    except OSError:  # not there yet, or not to be reached
        return found
    return found | {(status.st_dev, status.st_ino)}


def same_place(one: Location, other: Location) -> bool:
    return not places(one).isdisjoint(places(other))


def is_below(path: Location, folder: Location) -> bool:
    """Whether `path` is the folder, or lies in it at any depth, through links, too."""
    if is_s3(absolute(path)) or is_s3(absolute(folder)):
        return absolute(path) == absolute(folder) or absolute(path).startswith(f"{absolute(folder)}/")
    real = Path(os.path.realpath(absolute(path)))
    names = places(folder)
    return any(not names.isdisjoint(places(one)) for one in (real, *real.parents))


def refuse_overwriting(
    read: Mapping[str, Iterable[Location]], written: Mapping[str, Iterable[Location]]
) -> None:
    """Raises ValueError where a file that is written is one that is read, or is written twice.

    The keys say what the files are: "the recording", "-o".
    """
    taken = {
        place: (what, path, True) for what, paths in read.items() for path in paths for place in places(path)
    }
    for what, paths in written.items():
        for path in paths:
            own = places(path)
            for place in own & taken.keys():
                other, earlier, is_read = taken[place]
                if is_read:
                    raise ValueError(
                        f"{what} {path} would be written over {other}, {earlier}; give it another name, or "
                        "another folder"
                    )
                raise ValueError(
                    f"{what} {path} would be written over {other}, {earlier}; give them two names"
                )
            taken |= dict.fromkeys(own, (what, path, False))


def refuse_within(out: Location, read: Mapping[str, Iterable[Location]], option: str = "--out") -> None:
    """Raises ValueError where what is written would lie in a folder that is read: the next run would read it.

    The keys say what the folders are: "the folder of recordings".
    """
    for what, folders in read.items():
        for folder in folders:
            if is_below(out, folder):
                raise ValueError(
                    f"{option} {absolute(out)} is {what}, {absolute(folder)}, or lies in it, and would be read as a "
                    "part of it; choose a folder beside it"
                )

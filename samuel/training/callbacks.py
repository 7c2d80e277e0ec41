"""What a run tells while it trains: to TensorBoard, and to whoever shows its progress."""

import tempfile
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch.utils.tensorboard import SummaryWriter

from samuel.storage import Location, as_path, list_files, store_file

STEPS_BETWEEN_LOGS = 10
"""Training losses are means over this many steps."""


@runtime_checkable
class TrainingCallback(Protocol):
    """Called by the leading worker alone."""

    def trained(self, step: int, total: int, values: dict[str, float]) -> None:
        """`step` of `total` steps are done. Values: loss, learning_rate, gradient_norm, steps_per_second."""

    def validated(self, step: int, values: dict[str, float]) -> None:
        """Values: loss, and x0_error by noise level."""


class NullCallback:
    """Shows nothing."""

    def trained(self, step: int, total: int, values: dict[str, float]) -> None:
        pass

    def validated(self, step: int, values: dict[str, float]) -> None:
        pass


class TensorBoardLogger:
    """TensorBoard events in `<run>/tensorboard`: written here, stored with each checkpoint (S3 cannot append)."""

    def __init__(self, run: Location) -> None:
        self.target = as_path(run) / "tensorboard"
        self.folder = tempfile.TemporaryDirectory(prefix="samuel-tensorboard-")
        self.writer = SummaryWriter(self.folder.name)

    def write(self, group: str, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(f"{group}/{name}", value, step)

    def store(self) -> None:
        self.writer.flush()
        for file in list_files(self.folder.name).files:
            store_file(Path(self.folder.name) / file.name, self.target / file.name)

    def close(self) -> None:
        self.store()
        self.writer.close()
        self.folder.cleanup()

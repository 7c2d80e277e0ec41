"""The processes that train together: each takes its part of every batch."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True)
class Workers:
    """This process's place among them. With more than one, torch.distributed is initialized by who starts them."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def require_shareable(self, batch_size: int) -> None:
        """Raise ValueError where a batch has no equal parts for all workers."""
        if batch_size % self.count:
            raise ValueError(
                f"expected a batch size that {self.count} workers can share, got {batch_size}; "
                f"change --batch-size or --workers"
            )

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model, its gradients averaged over all workers in backward."""
        if self.count == 1:
            return model
        return nn.parallel.DistributedDataParallel(
            model, device_ids=[device] if device.type == "cuda" else None, gradient_as_bucket_view=True
        )

    def unsynchronized(self, model: nn.Module) -> AbstractContextManager[None]:
        """Within, gradients of `wrap`'s model are added up on this worker alone."""
        return model.no_sync() if isinstance(model, nn.parallel.DistributedDataParallel) else nullcontext()

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean of the workers' values, the same on all of them."""
        if self.count == 1:
            return value
        total = value.clone()
        dist.all_reduce(total)
        return total / self.count

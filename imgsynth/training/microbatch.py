"""Gradients of a batch that does not fit into memory: taken in smaller parts, they add up to the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from imgsynth.errors import OutOfMemory

# The mean loss over a part of a batch, and figures for the log, means over the part as well.
Terms = tuple[Tensor, dict[str, Tensor]]
# As CPU allocators of several systems, MPS and CUDA libraries put it; none has a class of its own.
NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")


def is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in NO_MEMORY)


def parts(batch: int, size: int) -> Iterator[slice]:
    """Consecutive slices of `size` samples; the last may be shorter."""
    for start in range(0, batch, size):
        yield slice(start, min(start + size, batch))


class MicroBatches:
    """How a process takes its batch: whole, until memory runs out.

    Attributes:
        size: samples that are taken at once.
    """

    def __init__(self, batch: int) -> None:
        self.batch = self.size = batch

    def backward(self, loss_of: Callable[[slice], Terms], clear: Callable[[], None]) -> dict[str, float]:
        """Adds up the gradients of the mean loss over the batch.

        Args:
            loss_of: the terms of a part; called again for what a lack of memory interrupted.
            clear: drops the gradients gathered so far.

        Returns:
            The figures, means over the batch.

        Raises:
            OutOfMemory: not even one sample fits.
        """
        while True:
            clear()
            try:
                return self._attempt(loss_of)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(error)
            # Only here, past the handler, has the traceback let go of the tensors of the failed attempt.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _attempt(self, loss_of: Callable[[slice], Terms]) -> dict[str, float]:
        sums: dict[str, float] = {}
        for part in parts(self.batch, self.size):
            share = (part.stop - part.start) / self.batch
            loss, figures = loss_of(part)
            (loss * share).backward()
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + share * value.item()
        return sums

    def _halve(self, error: RuntimeError) -> None:
        if self.size == 1:
            raise OutOfMemory(
                "Even one picture at a time takes more memory than there is; "
                "train with a smaller --size or --width."
            ) from error
        self.size = (self.size + 1) // 2

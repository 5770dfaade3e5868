"""Which rows make a batch. Importing this loads sentence-transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sentence_transformers.base.sampler import DefaultBatchSampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datasets import Dataset

    from nightrank.tasks.train.embedder.rows import TrainingRow


class AnswerAwareBatches(DefaultBatchSampler):
    """Batches in which no passage is shown to a query that it answers, but as that query's own.

    Every passage of a batch is a negative of all its other queries. So rows are kept apart whose queries or texts are
    the same, and those one of which shows what answers the other. Each row is used once an epoch; where many rows must
    be kept apart, the last batches are small.

    Args:
        dataset: The rows, as the trainer has them.
        rows: The same, with what they show and what answers them.
        batch_size: Rows of a batch.
        generator: What decides the order, with ``seed`` and the epoch.
        seed: Of the order.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: Sequence[TrainingRow],
        *,
        batch_size: int,
        generator: torch.Generator | None,
        seed: int,
    ) -> None:
        super().__init__(dataset, batch_size=batch_size, drop_last=False, generator=generator, seed=seed)
        self._rows = rows

    def __iter__(self) -> Iterator[list[int]]:
        """The numbers of the rows of each batch, in a new order each epoch."""
        if self.generator is not None:
            self.generator.manual_seed(self.seed + self.epoch)
        waiting = torch.randperm(len(self._rows), generator=self.generator).tolist()
        while waiting:
            batch, waiting = self._filled(waiting)
            yield batch

    def _filled(self, waiting: list[int]) -> tuple[list[int], list[int]]:
        """A batch of the first rows that go together, and the rows that are left, in order."""
        batch: list[int] = []
        passed_over: list[int] = []
        texts: set[str] = set()
        shown: set[str] = set()
        answering: set[str] = set()
        for place, number in enumerate(waiting):
            row = self._rows[number]
            if not (
                texts.isdisjoint((row.query, *row.texts))
                and shown.isdisjoint(row.answering)
                and answering.isdisjoint(row.shown)
            ):
                passed_over.append(number)
                continue
            batch.append(number)
            texts.update((row.query, *row.texts))
            shown |= row.shown
            answering |= row.answering
            if len(batch) == self.batch_size:
                return batch, passed_over + waiting[place + 1 :]
        return batch, passed_over

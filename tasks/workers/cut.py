"""Work in shards: what is cut, who computes it, and under which terms.

A shard is a record of some hundred bytes: which file, which model by its fingerprint, where to compute.
The run alone writes to the stores; workers read a shard's file and write one beside it.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nightrank.storage.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa
    from prefect import Task

    from nightrank.storage.bucket.shards import SharedFile
    from nightrank.tasks.settings.quality import DriftCheckSettings


@dataclass(frozen=True, slots=True)
class Place:
    """Where workers compute; nothing of it decides a value.

    Attributes:
        devices: What one process may use, a shard on each at a time.
        gpus_by_ray: Whether Ray says for each shard which of the machine's GPUs it has, instead.
        batch_tokens: Token budget of a batch, or None for what suits the device.
        threads: CPU threads of a shard, or None for torch's own choice.
        limit: The name of a concurrency limit at Prefect of which each shard holds a slot; None for no limit.
    """

    devices: tuple[str, ...]
    gpus_by_ray: bool = False
    batch_tokens: int | None = None
    threads: int | None = None
    limit: str | None = None

    def slot(self) -> AbstractContextManager[None]:
        """A slot of the limit, if there is one; waits until it is free."""
        if self.limit is None:
            return nullcontext()
        from prefect.concurrency.sync import concurrency

        # A lease that cannot be renewed for a while is no reason to lose a shard.
        return concurrency(self.limit, strict=True, raise_on_lease_renewal_failure=False)


@dataclass(frozen=True, slots=True)
class DriftSample:
    """What a worker's model must say again before anything that it computes is trusted.

    Attributes:
        file: A sample of what is stored, with the values.
        settings: The tolerance.
    """

    file: SharedFile
    settings: DriftCheckSettings


S = TypeVar("S")


class Workers(Protocol):
    """Who computes shards: threads of this process, or processes on any machine."""

    def compute(self, task: Task[[Any], SharedFile], shards: Sequence[S]) -> Iterator[tuple[S, SharedFile]]:
        """Each shard with what came of it, as they end; those of a lost worker are done again.

        Raises:
            MachineError: One ended every worker that took it.
            Exception: What a shard failed with; the others are called off.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sharding:
    """How a run cuts its work.

    Attributes:
        workers: Who computes.
        place: Where; without devices, on the one that the run itself has.
        texts: Of a shard that is embedded; the run itself embeds what is no more than that.
        pairs: The same of pairs that are scored.
        scores: The same of scores, of a query and a text each, that a scan of the first stage computes.
    """

    workers: Workers
    place: Place
    texts: int
    pairs: int
    scores: int

    def rows(self, queries: int, texts: int) -> int | None:
        """Texts of a range that so many queries meet in one shard; None where all of them are no more than that.

        >>> cut = Sharding(None, Place(()), texts=1, pairs=1, scores=100)
        >>> cut.rows(10, 11), cut.rows(10, 10), cut.rows(1000, 2), cut.rows(0, 7)
        (10, None, 1, None)
        """
        return max(1, self.scores // queries) if texts > 1 and queries * texts > self.scores else None

    def place_on(self, device: str) -> Place:
        """The place, on the run's own device where it names none."""
        return self.place if self.place.devices else replace(self.place, devices=(device,))


def slices(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    """A table in parts of at most so many rows."""
    for first in range(0, table.num_rows, rows):
        yield table.slice(first, rows)


def asked_and_made(
    source: SharedFile, output: SharedFile, *, keys: Sequence[str], kind: str
) -> tuple[pa.Table, pa.Table]:
    """What a shard was given, and what a worker made of it, row for row.

    Args:
        source: Given.
        output: Made.
        keys: Columns that both have, and that say what a row is of.
        kind: What rows are, for people.

    Raises:
        MachineError: The rows are of other things.
    """
    asked, made = source.read(), output.read()
    if not all(made.column(key).equals(asked.column(key)) for key in keys):
        message = f"The shard {source.name} returned other {kind} than it was given."
        raise MachineError(message, remedy="Install the same version of Nightrank on all machines.")
    return asked, made

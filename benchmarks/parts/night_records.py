"""What nights cost, kept line by line as they end, so that a program that is stopped goes on where it was."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.parts.compare_releases import Comparison

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.parts.rebuild import Rebuilt
    from benchmarks.parts.settings_files import Value
    from nightrank.flows.night.summary import Summary

# Columns of the table of seconds, and the stages that each sums; whatever else a run does is "rest".
STAGES = {
    "read": ("read",),
    "chunk": ("chunk",),
    "embed": ("embed",),
    "bm25": ("bm25 statistics",),
    "retrieve": ("embed queries", "encode sparse", "retrieve bm25", "retrieve dense", "retrieve sparse", "fuse"),
    "rerank": ("rerank",),
    "results": ("results",),
}
REST = "rest"


@dataclass(frozen=True, slots=True)
class NightRecord:
    """One night: what changed before it, what it did, what it took, and whether it equals a rebuild.

    Attributes:
        name: Of the state of the collection.
        changed: Documents that this program changed before the night.
        release_id: Of the release that the night left current.
        counts: The flow's own, by name.
        seconds: The flow's own, by stage and in total.
        rebuilt: The comparison with a rebuild from the memos.
        rebuilt_with_models: Chunks and pairs that the memos lacked for the rebuild; 0 where all is well.
        is_resumed: Whether an earlier attempt was stopped within the night, whose work then is not in the counts.
    """

    name: str
    changed: int
    release_id: str
    counts: dict[str, int]
    seconds: dict[str, float]
    rebuilt: Comparison
    rebuilt_with_models: int
    is_resumed: bool

    @property
    def is_equal(self) -> bool:
        """Whether the release equals the rebuild, for which no model had to run."""
        return self.rebuilt.is_exact and self.rebuilt_with_models == 0

    @property
    def seconds_by_stage(self) -> dict[str, float]:
        """Seconds by column of the table, and in total."""
        found = {column: sum(self.seconds.get(stage, 0.0) for stage in stages) for column, stages in STAGES.items()}
        total = self.seconds["total"]
        return found | {REST: total - sum(found.values()), "total": total}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target, and what was found."""

    name: str
    value: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the value is within the limit."""
        return self.value <= self.limit

    def __str__(self) -> str:
        return f"{'ok    ' if self.passed else 'MISSED'}  {self.name}: {self.value:.2%}, at most {self.limit:.1%}"


class NightLog:
    """A file of JSON lines: what the program was asked for, then a night a line.

    Args:
        path: The file.
        asked: What decides the figures; a log of something else is not continued.
    """

    def __init__(self, path: Path, *, asked: Mapping[str, Value]) -> None:
        self._path = path
        self._under_way = path.with_suffix(".under-way")
        if not path.is_file():
            self._under_way.unlink(missing_ok=True)
            self._write(dict(asked))
        lines = path.read_text(encoding="utf-8").splitlines()
        if json.loads(lines[0]) != dict(asked):
            sys.exit(f"{path} is of a run with {lines[0]}; give the same options, or start again with --fresh.")
        self.records = [_record(json.loads(line)) for line in lines[1:]]

    @property
    def was_interrupted(self) -> bool:
        """Whether the night after the last finished one had been started before."""
        return self._under_way.is_file()

    def start(self) -> None:
        """Note that the next night is under way."""
        self._under_way.touch()

    def append(self, record: NightRecord) -> None:
        """Keep a finished night."""
        self._write(asdict(record))
        self._under_way.unlink(missing_ok=True)
        self.records.append(record)

    def _write(self, value: dict[str, object]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")
            file.flush()
            os.fsync(file.fileno())


def record_of(
    summary: Summary, rebuilt: Rebuilt, *, name: str, changed: int, known: Sequence[NightRecord], is_resumed: bool
) -> NightRecord:
    """The record of a night.

    Args:
        summary: Of its run.
        rebuilt: Its rebuild.
        name: Of the state of the collection.
        changed: Documents that were changed before it.
        known: The nights before.
        is_resumed: Whether an earlier attempt at it was stopped.
    """
    manifest = summary.manifest
    # A night that was published and then not recorded finds nothing to do; its figures are in the manifest.
    is_found = not summary.changed and manifest.release_id not in {record.release_id for record in known}
    return NightRecord(
        name=name,
        changed=changed,
        release_id=manifest.release_id,
        counts=(manifest.counts if is_found else summary.counts).model_dump(),
        seconds=dict(manifest.seconds if is_found else summary.seconds),
        rebuilt=rebuilt.comparison,
        rebuilt_with_models=rebuilt.chunks_embedded + rebuilt.pairs_scored,
        is_resumed=is_resumed and not is_found,
    )


def total_of(records: Sequence[NightRecord], count: str) -> int:
    """A count over some nights together."""
    return sum(record.counts[count] for record in records)


def print_nights(records: Sequence[NightRecord], *, together: bool = True) -> None:
    """Print what changed and what was computed, then seconds by stage, the first night being what others are shares of.

    Args:
        records: The nights, the first one in full.
        together: Whether to sum the later ones.
    """
    console = Console(width=130)
    later = records[1:] if together else []
    counts = Table("night", "changed", "add/edit/meta/rem", "embedded", "", "pairs scored", "", "against a rebuild")
    for record in records:
        counts.add_row(
            record.name + ("*" if record.is_resumed else ""),
            str(record.changed),
            _changes(record.counts),
            *_with_share([record], records[0], "chunks_embedded"),
            *_with_share([record], records[0], "pairs_scored"),
            _against_rebuild(record),
        )
    if later:
        counts.add_section()
        counts.add_row(
            f"{len(later)} later nights",
            str(sum(record.changed for record in later)),
            "",
            *_with_share(later, records[0], "chunks_embedded"),
            *_with_share(later, records[0], "pairs_scored"),
            f"{sum(record.is_equal for record in later)} of {len(later)} equal",
        )
    console.print(counts)
    if any(record.is_resumed for record in records):
        console.print("* an attempt was stopped within this night; what it had computed is not counted")
    console.print(_table_of_seconds(records, later))


def _table_of_seconds(records: Sequence[NightRecord], later: Sequence[NightRecord]) -> Table:
    first = records[0].seconds_by_stage
    table = Table("seconds", *first)
    for record in records:
        found = record.seconds_by_stage
        table.add_row(record.name, *(_seconds(found[stage], first[stage]) for stage in first))
    if later:
        table.add_section()
        together = {stage: sum(record.seconds_by_stage[stage] for record in later) for stage in first}
        table.add_row(f"{len(later)} later", *(_seconds(together[stage], first[stage]) for stage in first))
    return table


def _seconds(value: float, first: float) -> str:
    shown = f"{value:.2f}" if value < 100 else f"{value:.0f}"
    return f"{shown} {value / first:.0%}" if first > 0 else shown


def _with_share(records: Sequence[NightRecord], first: NightRecord, count: str) -> tuple[str, str]:
    value = total_of(records, count)
    return f"{value:,}", f"{value / max(1, first.counts[count]):.1%}"


def _changes(counts: Mapping[str, int]) -> str:
    names = ("documents_added", "documents_edited", "documents_metadata", "documents_removed")
    return "/".join(str(counts.get(name, "-")) for name in names)


def _against_rebuild(record: NightRecord) -> str:
    if record.rebuilt_with_models:
        return f"the memos lacked {record.rebuilt_with_models} values; {record.rebuilt}"
    return str(record.rebuilt)


def _record(value: dict[str, object]) -> NightRecord:
    comparison = value.pop("rebuilt")
    assert isinstance(comparison, dict)
    return NightRecord(**value, rebuilt=Comparison(**comparison))  # type: ignore[arg-type]  # as this module wrote it

"""Workers in processes of their own, and what their models did, as ``worker_start/sitecustomize.py`` notes it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.parts.compare_releases import compare_releases
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.collection import Collection

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from tests.end_to_end.conftest import Refresh
    from tests.support.collection import TomlValue

ROOT = Path(__file__).parents[2]
# So small that the small collection has several shards of each kind.
SHARD_TEXTS, SHARD_PAIRS, SHARD_SCORES = 5, 40, 100
SHARDS: dict[str, TomlValue] = {
    "shard_texts": SHARD_TEXTS,
    "shard_pairs": SHARD_PAIRS,
    "shard_scores": SHARD_SCORES,
    "workers": 2,
}


@dataclass(frozen=True, slots=True)
class Notes:
    """What the models of workers did.

    Attributes:
        file: With a line for each thing.
    """

    file: Path

    @classmethod
    def of_workers(cls, folder: Path, monkeypatch: pytest.MonkeyPatch, *, kill: bool = False) -> Notes:
        """Watch the processes that are started from now on; with ``kill`` one dies of the first range, one of pairs."""
        monkeypatch.setenv("NOTES_FILE", str(folder / "notes.jsonl"))
        paths = [str(Path(__file__).parent / "worker_start"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        if kill:
            monkeypatch.setenv("KILL_FILE", str(folder / "killed"))
        return cls(folder / "notes.jsonl")

    def lines(self, kind: str) -> list[tuple[str | int, int]]:
        """What was noted under a kind, and the process each time."""
        noted = [json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines()]
        return [(what, process) for noted_kind, what, process in noted if noted_kind == kind]

    def loads(self) -> list[tuple[str | int, int]]:
        """Which model was loaded, by which process, each time."""
        return self.lines("loaded")

    def forget(self) -> None:
        """Begin anew."""
        self.file.unlink(missing_ok=True)


def change(collection: Collection) -> None:
    """A day's edits: documents new, changed and gone, and a query that nobody had asked."""
    collection.document("salt")["text"] = "Sea water stands in ponds. The sun and the wind leave the salt."
    collection.document("garden")["text"] = str(collection.document("garden")["text"]).replace("Slugs", "Snails")
    collection.remove("loom")
    for number in range(12):
        collection.documents.append(
            {"_id": f"new-{number}", "title": f"Well {number}", "text": f"The well {number} gives salt water."}
        )
    collection.log.append(("q-well", "salt water from a well", 3))
    collection.log += [(f"q-{number}", f"well {number} and the sea", 1) for number in range(6)]


def assert_nights_in_shards(collection: Collection, refresh: Refresh, notes: Notes, folder: Path) -> int:
    """Two nights by workers, of whom the first to scan vectors and the first to get pairs die, are one process's.

    Returns:
        How many processes had a reranker in the first night.
    """
    first = refresh(collection)
    assert (folder / "killed").exists()
    assert (folder / "killed-scan").exists()
    assert_scanned_in_ranges(notes, first.counts.texts)
    assert first.counts.chunks_embedded > 5 * SHARD_TEXTS
    assert first.counts.pairs_scored == first.counts.pairs > 4 * SHARD_PAIRS
    processes = len({process for _, process in notes.lines("Reranker")})
    assert len(set(notes.loads())) == len(notes.loads())  # a process loads a model once
    assert_as_by_one_process(collection, folder / "alone")

    notes.forget()
    change(collection)
    second = refresh(collection)
    assert second.counts.vectors_checked > 0
    assert second.counts.scores_checked > 0
    assert len(set(notes.loads())) == len(notes.loads())
    assert_as_by_one_process(collection, folder / "alone-again")
    return processes


def assert_scanned_in_ranges(notes: Notes, texts: int, *, legs: Sequence[str] = ("Bm25Ranges", "DenseRanges")) -> None:
    """Workers met so many texts and more, a few at a time, in each of some legs."""
    for leg in legs:
        rows = [int(what) for what, _ in notes.lines(leg)]
        assert len(rows) > 2
        assert sum(rows) >= texts > max(rows)


def assert_as_by_one_process(collection: Collection, folder: Path) -> None:
    """The release is the one that one process builds from nothing, to the last bit."""
    settings = {name: dict(section) for name, section in collection.settings.items()}
    settings["execution"] = {"device": "cpu", "threads": 1}
    alone = Collection(folder, settings, collection.documents, collection.log, collection.qrels)
    alone.write()
    refresh_plainly(alone.settings_file)
    comparison = compare_releases(FolderWorkspace(collection.workspace), FolderWorkspace(alone.workspace))
    assert comparison.is_exact, comparison

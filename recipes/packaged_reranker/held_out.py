"""What of the sources is never learnt from: what evaluation reads, what is held out, and whatever says the same.

Of every source 8 % of the documents are held out, some sources whole. A passage that shares a run of 13 words with a
document of a collection to measure on is no part of anything; one that shares a run with what is held out is not learnt
from. So is a query of such a collection, or one some of whose answers are held out and some are not.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nightrank.storage.keys import normalise_query
from nightrank.tasks.read.account import Account
from nightrank.tasks.train.sources import qrels_of, rows_of
from nightrank.tasks.trec.qrels import read_judgments
from recipes.packaged_reranker.recipe import HELD_SHARE, SEED
from recipes.packaged_reranker.runs import runs_of
from recipes.packaged_reranker.sources import read_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.tasks.train.sources import Passage
    from recipes.packaged_reranker.recipe import Source
    from recipes.packaged_reranker.runs import Runs
    from recipes.packaged_reranker.sources import Asked


@dataclass(frozen=True, slots=True)
class Prepared:
    """A source of which what may not be seen is gone.

    Attributes:
        passages: Each text once.
        queries: To learn from and to measure on.
        held: Places of the passages that are never shown in training.
        licences: Of its rows, the most frequent first.
    """

    passages: list[Passage]
    queries: list[Asked]
    held: frozenset[int]
    licences: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """What the collections to measure on say.

    Attributes:
        queries: Those that are measured on, normalised.
        runs: uint64 (n,), the distinct runs of each collection's documents, by its folder's name.
    """

    queries: frozenset[str]
    runs: dict[str, NDArray[np.uint64]]

    @classmethod
    def of(cls, folders: Sequence[Path]) -> Evaluated:
        """What some folders in BEIR layout say; of a folder's split ``train`` the queries may be learnt from.

        Raises:
            InputError: A file is missing or not as it should be.
        """
        queries: set[str] = set()
        runs: dict[str, NDArray[np.uint64]] = {}
        for folder in folders:
            train = qrels_of(folder, "train")
            judgments = read_judgments(train, name=str(train), account=Account()) if train.is_file() else []
            own = {judgment.query_id for judgment in judgments if judgment.grade > 0}
            for _, values in rows_of(folder / "queries.jsonl"):
                if values.get("_id") not in own:
                    queries.add(normalise_query(str(values.get("text") or values.get("query") or "")))
            packed = folder / "corpus.jsonl.gz"
            corpus = packed if packed.is_file() else folder / "corpus.jsonl"
            texts = [str(values.get("text", "")) for _, values in rows_of(corpus)]
            runs[folder.name] = np.unique(runs_of(texts).hashes)
        return cls(frozenset(queries), runs)

    def meets(self, runs: Runs, source: Source) -> NDArray[np.bool_]:
        """Which passages of a source share a run with a document of another collection, bool (n_passages,).

        Of its own collection, what is measured on is left out by the judgments themselves.

        Args:
            runs: Of its passages.
            source: It.
        """
        found = np.zeros(runs.count, dtype=np.bool_)
        for name, barred in self.runs.items():
            if name != source.path:
                found |= runs.meet(barred)
        return found


def prepare(sources: Sequence[Source], data: Path, evaluated: Evaluated) -> Iterator[tuple[Source, Prepared]]:
    """Each source without what may not be seen; all are read before the first one comes, for what others hold out.

    Args:
        sources: All of them.
        data: The folder of the data.
        evaluated: What is measured on.

    Raises:
        InputError: A file is missing or not as it should be.
    """
    read = {}
    for source in sources:
        collection = read_source(source, data)
        runs = runs_of([passage.text for passage in collection.passages])
        barred = evaluated.meets(runs, source)
        held_documents = hold_out([passage.document_id for passage in collection.passages], source)
        held = np.array([passage.document_id in held_documents for passage in collection.passages], dtype=np.bool_)
        read[source.name] = source, collection, runs, barred, held
    held_runs = np.unique(np.concatenate([runs.of(held & ~barred) for _, _, runs, barred, held in read.values()]))
    for source, collection, runs, barred, held in read.values():
        gone = barred | (runs.meet(held_runs) & ~held)
        moved = {int(old): new for new, old in enumerate(np.flatnonzero(~gone))}
        queries: list[Asked] = []
        for asked in collection.queries:
            sides = {bool(held[place]) for place in asked.answers}
            whole = len(sides) == 1 and all(place in moved for place in asked.answers)
            if whole and asked.query not in evaluated.queries:
                answers = tuple(moved[place] for place in asked.answers)
                queries.append(replace(asked, answers=answers, is_held=sides.pop()))
        passages = [collection.passages[old] for old in moved]
        yield (
            source,
            Prepared(passages, queries, frozenset(moved[old] for old in moved if held[old]), collection.licences),
        )


def hold_out(documents: Sequence[str], source: Source) -> frozenset[str]:
    """The documents of a source that are held out: always the same, and of sources of one file the same."""
    names = sorted(set(documents))
    if source.left_out:
        return frozenset(names)
    random.Random(f"{SEED}:{source.key}").shuffle(names)
    return frozenset(names[: max(1, int(len(names) * HELD_SHARE))])

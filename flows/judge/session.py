"""Several people judge one pool: what each reads next, what they said, and how far they agree. No HTTP here."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.files.text import plain_text
from nightrank.storage.grades import Act, grades_of, standing
from nightrank.storage.keys import digest
from nightrank.tasks.judge.agreement import agreement
from nightrank.tasks.judge.settle import settled
from nightrank.tasks.trec.qrels import write_judgments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from nightrank.storage.grades import GradeLog
    from nightrank.storage.records import Judgment
    from nightrank.tasks.judge.agreement import Agreement, Pair
    from nightrank.tasks.judge.pool import Pooled
    from nightrank.tasks.judge.texts import JudgedDocument

MOST_NAME = 40  # characters


@dataclass(frozen=True, slots=True)
class Item:
    """A pair of query and document that is judged.

    Attributes:
        key: By which a page names it.
        query: The query.
        document_id: Of the document.
        document: As it is read.
    """

    key: str
    query: Pooled
    document_id: str
    document: JudgedDocument

    @property
    def pair(self) -> Pair:
        """As judgments name it."""
        return self.query.query_id, self.document_id

    @property
    def passage(self) -> str:
        """What the document says best for the query."""
        chunk = self.query.chunks.get(self.document_id, "")
        ids = self.document.chunk_ids
        return self.document.passages[ids.index(chunk) if chunk in ids else 0]


class Progress(NamedTuple):
    """How far a judge is: pairs that they said something of, of all; and the number of the query, of all."""

    done: int
    pairs: int
    query: int
    queries: int


class Agreed(NamedTuple):
    """How far two judges agree."""

    one: str
    other: str
    agreement: Agreement


class Session:
    """What people judge, and what they said; one process holds it.

    Args:
        pooled: Queries, those that come first at the head.
        documents: By their ids; a pair whose document is not there is passed over.
        known: Pairs that were judged elsewhere already: nobody is asked again.
        log: Of what they say.
        qrels: The file that is written after each key.
        now: The time.
    """

    def __init__(
        self,
        pooled: Sequence[Pooled],
        documents: dict[str, JudgedDocument],
        *,
        known: frozenset[Pair] = frozenset(),
        log: GradeLog,
        qrels: Path,
        now: Callable[[], datetime],
    ) -> None:
        items = [
            Item(digest("judged pair", query.query_id, document_id), query, document_id, documents[document_id])
            for query in pooled
            for document_id in query.documents
            if document_id in documents and (query.query_id, document_id) not in known
        ]
        self._items = {item.key: item for item in items}
        self._places = {
            query_id: place for place, query_id in enumerate(dict.fromkeys(i.query.query_id for i in items))
        }
        self._log, self._qrels, self._now = log, qrels, now
        self._orders: dict[str, list[Item]] = {}
        self._write()

    @property
    def pairs(self) -> int:
        """How many there are."""
        return len(self._items)

    @property
    def queries(self) -> int:
        """How many they are of."""
        return len(self._places)

    @property
    def judges(self) -> list[str]:
        """Who said anything, by name."""
        return sorted(standing(self._log.acts))

    def item(self, key: str) -> Item | None:
        """A pair by its key; None where there is none."""
        return self._items.get(key)

    def next_item(self, judge: str) -> Item | None:
        """What a judge reads next; None where they are through."""
        said = standing(self._log.acts).get(judge, {})
        return next((item for item in self._order(judge) if item.pair not in said), None)

    def progress(self, judge: str) -> Progress:
        """How far a judge is."""
        said = standing(self._log.acts).get(judge, {})
        order = self._order(judge)
        done = sum(item.pair in said for item in order)
        waiting = next((item for item in order if item.pair not in said), None)
        place = len(self._places) if waiting is None else self._places[waiting.query.query_id] + 1
        return Progress(done, len(order), place, len(self._places))

    def say(self, judge: str, item: Item, grade: int | None) -> None:
        """Keep what a judge says of a pair: a grade from 0 to 3, or None for a pair that is skipped.

        Raises:
            OSError: The disk does not take it; nothing was said.
        """
        self._add(judge, item, "skip" if grade is None else "grade", grade)

    def undo(self, judge: str) -> Item | None:
        """Take back what a judge said last; the pair, or None where there is nothing to take back.

        Raises:
            OSError: The disk does not take it; nothing was taken back.
        """
        by_pair = {item.pair: item for item in self._items.values()}
        last = [pair for pair in standing(self._log.acts).get(judge, {}) if pair in by_pair][-1:]
        for pair in last:
            self._add(judge, by_pair[pair], "undo", None)
            return by_pair[pair]
        return None

    def agreements(self) -> list[Agreed]:
        """How far each two of the judges agree, on all that they ever judged."""
        grades = grades_of(self._log.acts)
        return [
            Agreed(one, other, agreement(grades[one], grades[other])) for one, other in combinations(sorted(grades), 2)
        ]

    def graded(self) -> dict[str, int]:
        """How many pairs each judge graded, by name."""
        return {judge: len(grades) for judge, grades in sorted(grades_of(self._log.acts).items())}

    def judgments(self) -> list[Judgment]:
        """What all of them say."""
        return settled(grades_of(self._log.acts))

    def _add(self, judge: str, item: Item, act: str, grade: int | None) -> None:
        assert act in {"grade", "skip", "undo"}
        at = self._now().isoformat(timespec="seconds")
        self._log.add(Act(at, judge, *item.pair, act, grade, item.query.text))  # type: ignore[arg-type]  # as asserted
        try:
            self._write()
        except OSError:
            self._log.take_back()
            raise

    def _write(self) -> None:
        """Have the file of judgments say what the log does."""
        judgments = self.judgments()
        if judgments:
            write_judgments(self._qrels, judgments)
        else:
            self._qrels.unlink(missing_ok=True)  # all was taken back; a file without judgments is an error

    def _order(self, judge: str) -> list[Item]:
        """A judge's own order: query by query, and the documents of each in one that says nothing of their ranks."""
        if judge not in self._orders:
            self._orders[judge] = sorted(
                self._items.values(),
                key=lambda item: (self._places[item.query.query_id], digest("order", judge, item.key)),
            )
        return self._orders[judge]


def judge_name(written: str) -> str | None:
    r"""A judge's name as it is kept; None where it is none.

    >>> judge_name("  Ann  Lee "), judge_name(""), judge_name("a" * 41), judge_name("a\u202eb")
    ('Ann Lee', None, None, None)
    """
    name = " ".join(written.split())
    return name if 0 < len(name) <= MOST_NAME and plain_text(name) == name else None

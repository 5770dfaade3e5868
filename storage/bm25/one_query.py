"""The terms of one query at once, in memory: what ``Bm25Store.query_terms`` finds in bulk, for who answers while asked.

The SQL of ``storage.bm25.terms`` is made for many texts together; of one it takes tens of milliseconds, nearly all of
it to begin. Here the same steps go over Python's own strings. Which characters make words is asked of DuckDB itself,
so that both cut alike whatever version of Unicode it knows. A test holds both against each other.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from nightrank.storage.bm25.fields import SIGNS
from nightrank.storage.bm25.languages import LEAST_WEIGHT, common_of
from nightrank.storage.bm25.terms import UNSPACED, fold
from nightrank.storage.files.database import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from nightrank.storage.bm25.index import Bm25Store
    from nightrank.storage.bm25.terms import TextAnalyser

# Of every character but surrogates, which no text has.
_CHARACTERS = r"""
WITH characters AS (
    SELECT code::INTEGER AS code, chr(code::INTEGER) AS character
    FROM (SELECT unnest(range(1, 55296)) AS code UNION ALL SELECT unnest(range(57344, 1114112)))
)
SELECT code, regexp_matches(character, '^[\p{L}\p{N}]$') AS is_letter, regexp_matches(character, '^\p{M}$') AS is_mark,
    regexp_matches(character, '^[SIGNS]$') AS is_sign, regexp_matches(character, '^[UNSPACED]$') AS is_unspaced
FROM characters ORDER BY code
""".replace("[SIGNS]", f"[{SIGNS}]").replace("[UNSPACED]", f"[{UNSPACED}]")


class Mark(NamedTuple):
    """What a run tells of a text's language; as in ``storage.bm25.terms.TextAnalyser.marks``."""

    language: int
    word: int
    weight: int


@dataclass(frozen=True, slots=True)
class Cutting:
    """How texts are cut, as patterns of Python that match what DuckDB's own match; made by ``cutting``.

    Attributes:
        run: Of letters, digits and signs that stand for some.
        unspaced: Characters of scripts whose words no space parts, as many as stand together.
        word: Within a folded run.
    """

    run: re.Pattern[str]
    unspaced: re.Pattern[str]
    word: re.Pattern[str]


@cache
def cutting() -> Cutting:
    """How DuckDB cuts texts; it is asked once in a process, which takes a second."""
    with connect() as connection:
        known = connection.sql(_CHARACTERS).to_arrow_table()
    codes = known.column("code").to_numpy()
    letter, mark, sign, unspaced = (
        known.column(name).to_numpy() for name in ("is_letter", "is_mark", "is_sign", "is_unspaced")
    )
    begins, goes_on = _class(codes[letter | sign]), _class(codes[letter | mark | sign])
    return Cutting(
        run=re.compile(f"{begins}{goes_on}*"),
        unspaced=re.compile(f"{_class(codes[unspaced])}+"),
        word=re.compile(f"{_class(codes[letter])}{_class(codes[letter | mark])}*"),
    )


def _class(codes: NDArray[np.int32]) -> str:
    """A class of a pattern with these characters, int32 (n,), ascending."""
    firsts = codes[np.append(True, np.diff(codes) != 1)]
    lasts = codes[np.append(np.diff(codes) != 1, True)]
    ranges = (f"\\U{first:08x}-\\U{last:08x}" for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True))
    return f"[{''.join(ranges)}]"


@dataclass(frozen=True, slots=True, eq=False)
class OneQuery:
    """What the terms of a query are in one collection; made by ``of``. Threads may share one.

    Attributes:
        analyse: What the collection was analysed with.
        terms: string (n_terms,), the collection's, by number, which is their order.
        marks: Of runs that tell languages apart.
        counts: How many chunks are in each language.
    """

    analyse: TextAnalyser
    terms: pa.StringArray
    marks: Mapping[str, tuple[Mark, ...]]
    counts: Mapping[int, int]

    @classmethod
    def of(cls, store: Bm25Store, analyse: TextAnalyser) -> Self:
        """Of the collection in a store.

        Raises:
            MachineError: It was analysed in another way, or its postings are laid out in another.
        """
        store.require_analysis(analyse)
        cutting()  # now, and not while somebody waits
        marks: dict[str, list[Mark]] = defaultdict(list)
        columns = (analyse.marks().column(name).to_pylist() for name in ("run", "language", "word", "weight"))
        for run, *mark in zip(*columns, strict=True):
            marks[run].append(Mark(*mark))
        told = {run: tuple(of_run) for run, of_run in marks.items()}
        return cls(analyse, store.terms_by_number(), told, store.language_counts())

    def term_numbers(self, text: str) -> dict[int, int]:
        """The numbers of a query's terms, ascending, and how often it has each: at least once.

        Args:
            text: Normalised. Terms that no chunk has are left out.
        """
        cut = cutting()
        runs = Counter(cut.run.findall(text))
        languages = self._languages(runs)
        counts: Counter[str] = Counter()
        for run, occurrences in runs.items():
            counts += self._terms_of(run, occurrences, languages, cut)
        found = {number: count for term, count in counts.items() if (number := self._number(term)) is not None}
        return dict(sorted(found.items()))

    def _languages(self, runs: Iterable[str]) -> set[int]:
        """The languages that a query with these runs is asked in; of a collection without any, the first."""
        votes: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
        for run in runs:
            for mark in self.marks.get(run, ()):
                votes[mark.language].add((mark.word, mark.weight))
        common = common_of(self.counts)
        # Two different words, and half as many votes again as any other language.
        worth = sorted(
            (sum(weight for _, weight in words), -language)
            for language, words in votes.items()
            if len(words) > 1 and language in self.counts
        )
        if worth and worth[-1][0] >= LEAST_WEIGHT and 2 * worth[-1][0] > 3 * (worth[-2][0] if worth[1:] else 0):
            return {-worth[-1][1]} | ({0} & common)
        return common or {0}

    def _terms_of(self, run: str, occurrences: int, languages: set[int], cut: Cutting) -> Counter[str]:
        """The terms of a run, by the language that has each most often; none where a language drops the run."""
        most: Counter[str] = Counter()
        [folded] = fold([run])
        words = [(word, cut.unspaced.match(word)) for word in cut.word.findall(cut.unspaced.sub(r" \g<0> ", folded))]
        for language in languages:
            times: Counter[str] = Counter()
            for word, is_unspaced in words:
                terms = self.analyse.split([word])[0] if is_unspaced else self.analyse([word], language)
                times.update(term for term in terms if term)
            if not times:
                return Counter()
            most |= Counter({term: count * occurrences for term, count in times.items()})
        return most

    def _number(self, term: str) -> int | None:
        place = bisect_left(self.terms, term, key=_as_text)
        return place if place < len(self.terms) and self.terms[place].as_py() == term else None


def _as_text(scalar: pa.StringScalar) -> str:
    text: str = scalar.as_py()
    return text

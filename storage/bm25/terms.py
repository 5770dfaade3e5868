"""From text to terms, in SQL: how documents and queries alike are split into words and counted.

Texts are cut in bulk into runs of letters and digits. Everything dearer is done once per distinct run: folding as of
queries (`storage/characters.py`), a second cut (normalising can bring separators in, and Han and Hiragana characters
are words of their own, as in Unicode's word boundaries without a dictionary), and the analysis handed in: stemming,
stop words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from nightrank.storage.characters import folded
from nightrank.storage.keys import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import duckdb

# Part of every analysis fingerprint: raise it when anything below changes what a text's terms are.
TOKENISATION = "2"

# Distinct runs that are Python strings at one time.
SLICE = 100_000

_COUNT_RUNS = r"""
CREATE OR REPLACE TEMP TABLE run_counts AS
SELECT number, run, count(*) AS occurrences
FROM (SELECT number, unnest(regexp_extract_all(text, '[\p{L}\p{N}][\p{L}\p{M}\p{N}]*')) AS run FROM numbered_texts)
GROUP BY number, run
"""

_CUT_RUNS = r"""
CREATE OR REPLACE TEMP TABLE run_words AS
SELECT run, unnest(regexp_extract_all(
    regexp_replace(folded, '([\p{Han}\p{Hiragana}])', ' \1 ', 'g'), '[\p{L}\p{N}][\p{L}\p{M}\p{N}]*')) AS word
FROM folded_runs
"""

_NAME_TERMS = """
CREATE OR REPLACE TEMP TABLE run_terms AS
SELECT run, term, count(*) AS times
FROM run_words JOIN word_terms USING (word)
WHERE term IS NOT NULL AND term <> ''
GROUP BY run, term
"""


class WordAnalyser(Protocol):
    """What becomes of a word: a stem, or nothing."""

    def __call__(self, words: list[str], /) -> Sequence[str | None]:
        """The term of each case-folded word, in order; None drops the word."""
        ...

    def fingerprint(self) -> str:
        """The key of everything that decides a word's term."""
        ...


def analysis_fingerprint(analyse: WordAnalyser) -> str:
    """The key of everything that decides the terms of a text."""
    return digest("bm25-terms", TOKENISATION, analyse.fingerprint())


def count_runs_and_name_terms(connection: duckdb.DuckDBPyConnection, *, analyse: WordAnalyser) -> None:
    """Count the words of ``numbered_texts(number, text)``, a table or view that the connection can see.

    Leaves two temporary tables: ``run_counts(number, run, occurrences)`` and ``run_terms(run, term, times)``. A
    term's frequency in a text is the sum of ``occurrences * times`` over the runs that both share. Memory grows with
    the number of distinct words, not of texts.
    """
    connection.execute(_COUNT_RUNS)
    runs = _column(connection, "SELECT DISTINCT run FROM run_counts")
    connection.register("folded_runs", pa.table({"run": runs, "folded": _mapped(runs, _folded)}))
    connection.execute(_CUT_RUNS)
    connection.unregister("folded_runs")
    words = _column(connection, "SELECT DISTINCT word FROM run_words")
    connection.register("word_terms", pa.table({"word": words, "term": _mapped(words, analyse)}))
    connection.execute(_NAME_TERMS)
    connection.unregister("word_terms")
    connection.execute("DROP TABLE run_words")


def _folded(runs: list[str]) -> list[str]:
    return [folded(run) for run in runs]


def _column(connection: duckdb.DuckDBPyConnection, query: str) -> pa.ChunkedArray:
    return connection.sql(query).to_arrow_table().column(0)


def _mapped(values: pa.ChunkedArray, function: Callable[[list[str]], Sequence[str | None]]) -> pa.ChunkedArray:
    slices = (values.slice(first, SLICE).to_pylist() for first in range(0, len(values), SLICE))
    return pa.chunked_array([pa.array(function(strings), pa.string()) for strings in slices], pa.string())

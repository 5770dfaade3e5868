"""From text to terms, in SQL: how documents and queries alike are split into words and counted.

Texts are cut in bulk into runs of letters, digits and signs that stand for some. Everything dearer is done once per
distinct run: folding as of queries (``storage.characters``), a second cut (folding can bring separators in, and what is
written without spaces is cut where it begins and ends), and the analysis handed in: words of scripts without spaces,
stemming, stop words. Which language a text is analysed in is decided in ``storage.bm25.languages``.
"""

from __future__ import annotations

import unicodedata
from functools import partial
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from nightrank.storage.bm25.fields import RUN, weigh_runs
from nightrank.storage.bm25.languages import settle_languages
from nightrank.storage.characters import folded
from nightrank.storage.keys import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import duckdb

    from nightrank.storage.bm25.fields import FieldWeights

# Part of every analysis fingerprint: raise it when anything below changes what a text's terms are.
TOKENISATION = "4"

# Distinct runs that are Python strings at one time.
SLICE = 100_000

# Scripts whose words no space parts, and Hangul, whose words carry their particles. U+30FC lengthens a vowel of Kana.
UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\x{30FC}\p{Bopomofo}\p{Yi}\p{Hangul}"
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}\p{Javanese}\p{Balinese}"
)

_COUNT_RUNS = r"""
CREATE OR REPLACE TEMP TABLE run_counts AS
SELECT number, run, count(*) AS occurrences, count(*) AS weighted
FROM (SELECT number, unnest(regexp_extract_all(text, 'RUN')) AS run FROM numbered_texts)
GROUP BY number, run
""".replace("'RUN'", f"'{RUN}'")

_RUN_LANGUAGES = "CREATE OR REPLACE TEMP TABLE run_languages AS SELECT DISTINCT run, language FROM text_runs"

_CUT_RUNS = r"""
CREATE OR REPLACE TEMP TABLE run_words AS
SELECT run, word, regexp_matches(word, '^[UNSPACED]') AS is_unspaced
FROM (
    SELECT run, unnest(regexp_extract_all(
        regexp_replace(folded, '([UNSPACED]+)', ' \1 ', 'g'), '[\p{L}\p{N}][\p{L}\p{M}\p{N}]*')) AS word
    FROM folded_runs
)
""".replace("UNSPACED", UNSPACED)

_WORDS_OF = """
SELECT DISTINCT word FROM run_words JOIN run_languages USING (run) WHERE NOT is_unspaced AND language = $language
"""

_NAME_TERMS = """
CREATE OR REPLACE TEMP TABLE run_terms AS
SELECT run, language, term, count(*) AS times
FROM (
    SELECT run, language, term
    FROM run_languages JOIN run_words USING (run) JOIN word_terms USING (word, language)
    WHERE NOT is_unspaced
    UNION ALL
    SELECT run, language, unnest(terms)
    FROM run_languages JOIN run_words USING (run) JOIN unspaced_terms USING (word)
    WHERE is_unspaced
)
WHERE term IS NOT NULL AND term <> ''
GROUP BY run, language, term
"""


class TextAnalyser(Protocol):
    """What becomes of the words of a text."""

    @property
    def field_weights(self) -> FieldWeights:
        """What a word counts by the field that it is in."""
        ...

    @property
    def languages(self) -> Sequence[str]:
        """The languages that it tells apart; the first is that of texts of which nothing tells."""
        ...

    def marks(self) -> pa.Table:
        """What tells them apart; empty for a single one.

        Returns:
            run (as it stands in a text), language (uint8, a place among ``languages``), word (int32, the same for its
            other spellings), weight (int64).
        """
        ...

    def place_of(self, declared: str, /) -> int | None:
        """The place among ``languages`` of one that a document says it is in; None where that is not asked for."""
        ...

    def __call__(self, words: list[str], language: int, /) -> Sequence[str | None]:
        """The term of each case-folded word, in order; None drops the word."""
        ...

    def split(self, texts: list[str], /) -> Sequence[Sequence[str]]:
        """The terms of each case-folded text in scripts without spaces, in order."""
        ...

    def fingerprint(self) -> str:
        """The key of everything that decides a text's terms."""
        ...


def analysis_fingerprint(analyse: TextAnalyser) -> str:
    """The key of everything that decides the terms of a text."""
    return digest("bm25-terms", TOKENISATION, analyse.fingerprint())


def count_runs_and_name_terms(
    connection: duckdb.DuckDBPyConnection, *, analyse: TextAnalyser, asked_in: Mapping[int, int] | None = None
) -> None:
    """Count the words of ``numbered_texts(number, text)``, a table or view that the connection can see.

    Leaves ``text_languages(number, language)``, the view ``text_runs(number, run, occurrences, weighted, language)``
    and the table ``run_terms(run, language, term, times)``. A term's frequency in a text is the sum of
    ``weighted * times`` over the runs that both share, in ``analyse.field_weights.unit``; in a query it is that of
    ``occurrences * times``. Memory grows with the number of distinct words, not of texts.

    Where the texts are of the collection, ``storage.bm25.languages.declare_languages`` goes before; and where fields
    are weighted, ``numbered_texts`` has the columns ``body_start`` and ``has_title`` too.

    Args:
        connection: On the file, or on what can see the texts.
        analyse: What becomes of the words.
        asked_in: None: the texts are of the collection, and each has a language of its own. Of queries the languages
            of the collection, with how many chunks are in each: a query that is not clearly of one of them has rows of
            every common one in ``text_runs``.
    """
    if asked_in is not None or analyse.field_weights.are_plain:
        connection.execute(_COUNT_RUNS)
    else:
        weigh_runs(connection, analyse.field_weights)
    settle_languages(connection, marks=analyse.marks(), asked_in=asked_in)
    connection.execute(_RUN_LANGUAGES)
    runs = _column(connection, "SELECT DISTINCT run FROM run_languages")
    connection.register("folded_runs", pa.table({"run": runs, "folded": _mapped(runs, fold, pa.string())}))
    connection.execute(_CUT_RUNS)
    connection.unregister("folded_runs")
    unspaced = _column(connection, "SELECT DISTINCT word FROM run_words WHERE is_unspaced")
    terms = _mapped(unspaced, analyse.split, pa.list_(pa.string()))
    connection.register("unspaced_terms", pa.table({"word": unspaced, "terms": terms}))
    connection.register("word_terms", _word_terms(connection, analyse))
    connection.execute(_NAME_TERMS)
    connection.unregister("word_terms")
    connection.unregister("unspaced_terms")
    connection.execute("DROP TABLE run_words")
    connection.execute("DROP TABLE run_languages")


def fold(runs: list[str]) -> list[str]:
    """Folded as queries are, and digits of every script as those of ASCII.

    >>> fold(["Straße", "ﬁne", "４２", "๔๒"])
    ['strasse', 'fine', '42', '42']
    """
    return [run.lower() if run.isascii() else _with_plain_digits(folded(run)) for run in runs]


def _with_plain_digits(run: str) -> str:
    if not any(map(str.isdecimal, run)):
        return run
    return "".join(str(unicodedata.decimal(character, character)) for character in run)


def _word_terms(connection: duckdb.DuckDBPyConnection, analyse: TextAnalyser) -> pa.Table:
    """word, language, term: of the words of each language that there is."""
    parts = []
    for (language,) in connection.sql("SELECT DISTINCT language FROM run_languages ORDER BY language").fetchall():
        words = connection.sql(_WORDS_OF, params={"language": language}).to_arrow_table().column(0)
        terms = _mapped(words, partial(_terms_in, analyse, language), pa.string())
        numbers = pa.chunked_array([pa.repeat(pa.scalar(language, pa.uint8()), len(words))])
        parts.append(pa.table({"word": words, "language": numbers, "term": terms}))
    empty = pa.schema([("word", pa.string()), ("language", pa.uint8()), ("term", pa.string())]).empty_table()
    return pa.concat_tables([empty, *parts])


def _terms_in(analyse: TextAnalyser, language: int, words: list[str]) -> Sequence[str | None]:
    return analyse(words, language)


def _column(connection: duckdb.DuckDBPyConnection, query: str) -> pa.ChunkedArray:
    return connection.sql(query).to_arrow_table().column(0)


def _mapped(values: pa.ChunkedArray, function: Callable[[list[str]], object], kind: pa.DataType) -> pa.ChunkedArray:
    slices = (values.slice(first, SLICE).to_pylist() for first in range(0, len(values), SLICE))
    return pa.chunked_array([pa.array(function(strings), kind) for strings in slices], kind)

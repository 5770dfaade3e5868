"""Which language each text is analysed in: that of whose words, found among its runs, it has clearly most.

A text's language depends on that text alone, so that it is the same whatever else is indexed. Words that are in several
languages' lists weigh less (``storage.bm25.terms.TextAnalyser.marks``); all weights are whole numbers, whose sums do
not depend on an order. A query is short, and says less: one that is not clearly of a language is asked in every common
language of the collection, and not in one that a few chunks may have been taken for: its stop words would be left out
of every such query.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import duckdb

# What a word weighs that is in one language's list alone; in the lists of n languages it weighs an nth of it.
FULL_WEIGHT = 2520

# What the words of a language must weigh together in a text, which must have two different ones.
LEAST_WEIGHT = 2 * FULL_WEIGHT

# Of the chunks, for a language to be one that queries are asked in which are not clearly of it; the most frequent is.
COMMON_SHARE = 0.02

# What the words of another language must weigh, in those of the one that a document says. Of 5,471 passages in 15
# languages that said their own none was taken for another, and as many as without it where they said a wrong one.
CONTRARY = 3

_PLACES = pa.schema([("declared", pa.string()), ("language", pa.uint8()), ("has_marks", pa.bool_())])

_VOTES = """
CREATE OR REPLACE TEMP TABLE language_votes AS
SELECT number, language, sum(weight)::BIGINT AS votes, count(*) > 1 AS are_two
FROM (
    SELECT DISTINCT number, language, word, weight FROM run_counts JOIN language_marks USING (run)
)
GROUP BY number, language
"""

# Half as many again as of the first language, which all others must beat. Where a document says its language, its texts
# are in that one, but for those whose words are clearly of another: a template left it there, or it is a quotation.
_OF_TEXTS = """
CREATE OR REPLACE TEMP TABLE text_languages AS
WITH best AS (
    SELECT number, arg_max(language, votes * 256 - language) AS language, max(votes) AS votes
    FROM language_votes ANTI JOIN declared_languages USING (number)
    WHERE language > 0 AND are_two GROUP BY number
), contrary AS (
    SELECT number, arg_max(language, votes * 256 - language) AS language, max(votes) AS votes
    FROM language_votes SEMI JOIN declared_languages USING (number)
    WHERE are_two GROUP BY number
)
SELECT best.number, best.language
FROM best LEFT JOIN language_votes AS first ON first.number = best.number AND first.language = 0
WHERE best.votes >= $least_weight AND 2 * best.votes > 3 * coalesce(first.votes, 0)
UNION ALL
SELECT * FROM (
    SELECT said.number, if(
        said.has_marks AND contrary.votes >= $least_weight AND contrary.votes > $contrary * coalesce(own.votes, 0),
        contrary.language, said.language
    ) AS language
    FROM declared_languages AS said LEFT JOIN contrary USING (number)
    LEFT JOIN language_votes AS own ON own.number = said.number AND own.language = said.language
)
WHERE language > 0
"""

_OF_QUERIES = """
CREATE OR REPLACE TEMP TABLE text_languages AS
WITH decided AS (
    SELECT number, language
    FROM (
        SELECT number, arg_max(language, votes * 256 - language) AS language, max(votes) AS votes,
            coalesce(list_sort(list(votes), 'DESC')[2], 0) AS second
        FROM language_votes SEMI JOIN asked_in USING (language) WHERE are_two GROUP BY number
    )
    WHERE votes >= $least_weight AND 2 * votes > 3 * second
)
SELECT number, language FROM decided
UNION
-- Titles and tables say too little of their language and are of the first: that is where their queries ask, too.
SELECT number, 0::UTINYINT FROM decided WHERE EXISTS (SELECT 1 FROM asked_in WHERE language = 0 AND is_common)
UNION ALL
SELECT number, language
FROM (SELECT number FROM numbered_texts ANTI JOIN decided USING (number)), asked_in
WHERE is_common
"""

# Texts without a row are of the first language.
_TEXT_RUNS = """
CREATE OR REPLACE TEMP VIEW text_runs AS
SELECT number, run, occurrences, weighted, coalesce(language, 0)::UTINYINT AS language
FROM run_counts LEFT JOIN text_languages USING (number)
"""

# Where all are of the first language, as most often; it costs no join.
_TEXT_RUNS_OF_FIRST = """
CREATE OR REPLACE TEMP VIEW text_runs AS
SELECT number, run, occurrences, weighted, 0::UTINYINT AS language FROM run_counts
"""

_NAMED = "SELECT DISTINCT declared FROM named_languages ORDER BY declared"

_DECLARED = """
CREATE OR REPLACE TEMP VIEW declared_languages AS
SELECT number, language, has_marks FROM named_languages JOIN declared_places USING (declared)
"""

_OTHERS = "SELECT count(*) FROM text_languages WHERE language > 0"


def declare_languages(
    connection: duckdb.DuckDBPyConnection, *, marks: pa.Table, place_of: Callable[[str], int | None]
) -> None:
    """Make the view ``declared_languages(number, language, has_marks)`` of what documents say of themselves.

    Args:
        connection: Where ``named_languages(number, declared)`` is: of each text the name of the language that its
            document says it is in; empty without one.
        marks: As of ``settle_languages``.
        place_of: Gives the place of a language; texts in one without a place say none.
    """
    names = connection.execute(_NAMED).fetchall()
    marked = set(marks.column("language").to_pylist())
    places = [(name, place) for (name,) in names if (place := place_of(name)) is not None]
    table = {"declared": [name for name, _ in places], "language": [place for _, place in places]}
    table |= {"has_marks": [place in marked for _, place in places]}
    connection.register("declared_places", pa.table(table, schema=_PLACES))
    connection.execute(_DECLARED)


def common_of(counts: Mapping[int, int]) -> set[int]:
    """The languages of a collection that are common in it.

    Args:
        counts: How many chunks are in each.
    """
    bar = min(COMMON_SHARE * sum(counts.values()), max(counts.values(), default=0))
    return {language for language, count in counts.items() if count >= bar}


def settle_languages(
    connection: duckdb.DuckDBPyConnection, *, marks: pa.Table, asked_in: Mapping[int, int] | None
) -> None:
    """Give the texts behind ``run_counts(number, run, occurrences, weighted)`` their languages.

    Leaves the table ``text_languages(number, language)``, without rows of texts in the first language, and the view
    ``text_runs(number, run, occurrences, weighted, language)``.

    Args:
        connection: Where ``run_counts`` and ``numbered_texts`` are, and of texts of the collection
            ``declared_languages``.
        marks: run, language, word, weight: the words that tell languages apart.
        asked_in: None: the texts are of the collection. Else they are queries, and these are the languages that the
            collection has, with how many chunks are in each.
    """
    connection.register("language_marks", marks)
    connection.execute(_VOTES)
    connection.unregister("language_marks")
    least = {"least_weight": LEAST_WEIGHT}
    if asked_in is None:
        connection.execute(_OF_TEXTS, least | {"contrary": CONTRARY})
    else:
        common = common_of(asked_in)
        is_common = [language in common for language in asked_in]
        connection.register("asked_in", pa.table({"language": pa.array(asked_in, pa.uint8()), "is_common": is_common}))
        connection.execute(_OF_QUERIES, least)
        connection.unregister("asked_in")
    connection.execute("DROP TABLE language_votes")
    from nightrank.storage.files.database import only_row  # near look-ups know the weights above without DuckDB

    (others,) = only_row(connection, _OTHERS)
    connection.execute(_TEXT_RUNS if others else _TEXT_RUNS_OF_FIRST)

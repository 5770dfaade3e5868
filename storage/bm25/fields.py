"""The fields of a text, and what a word in each of them counts: BM25F as one saturation over weighted frequencies.

A chunk's text is its title, the headings that lead to its passage, and the passage. A term's frequency in a chunk, and
the chunk's length, are sums over these fields, each times the field's weight; the formula then sees one frequency and
one length (Robertson, Zaragoza and Taylor 2004, "Simple BM25 Extension to Multiple Weighted Fields"; Lucene's
CombinedFieldQuery). Weights are quarters, so that all sums are sums of whole numbers, whatever their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

QUARTERS = 4
# Signs that folding makes letters or digits of, such as ™, ℃, ㎡, № and the radicals of Han that PDFs hold: they are
# part of the run that they stand in, which is cut again when it is folded. So texts have the terms of folded texts.
SIGNS = (
    r"\x{345}\x{20A8}\x{2100}\x{2101}\x{2103}\x{2105}\x{2106}\x{2109}\x{2116}\x{2120}-\x{2122}\x{213B}\x{249C}-\x{24E9}"
    r"\x{2E9F}\x{2EF3}\x{2F00}-\x{2FD5}\x{3196}-\x{319F}\x{3200}-\x{321E}\x{322A}-\x{3247}\x{3250}\x{3260}-\x{327E}"
    r"\x{328A}-\x{32B0}\x{32C0}-\x{33FF}\x{FDFC}\x{1F110}-\x{1F12E}\x{1F130}-\x{1F14F}\x{1F16A}-\x{1F16C}\x{1F190}"
    r"\x{1F200}-\x{1F202}\x{1F210}-\x{1F23B}\x{1F240}-\x{1F248}\x{1F250}\x{1F251}"
)
# A run of letters, digits and these, in DuckDB's regular expressions.
RUN = rf"[\p{{L}}\p{{N}}{SIGNS}][\p{{L}}\p{{M}}\p{{N}}{SIGNS}]*"

# A title is one line, and goes before everything else; what is left before the passage are headings.
_FIELDS = r"""
CREATE OR REPLACE TEMP VIEW field_texts AS
WITH cut AS (
    SELECT number, text, body_start,
        if(has_title AND body_start > 0, length(split_part(substring(text, 1, body_start), chr(10), 1)), 0) AS title_end
    FROM numbered_texts
)
SELECT number, 0 AS field, substring(text, 1, title_end) AS text FROM cut WHERE title_end > 0
UNION ALL
SELECT number, 1, substring(text, title_end + 1, body_start - title_end) FROM cut WHERE body_start > title_end
UNION ALL
SELECT number, 2, substring(text, body_start + 1) FROM cut
"""

_WEIGH = r"""
CREATE OR REPLACE TEMP TABLE run_counts AS
SELECT number, run, count(*) AS occurrences,
    (count(*) FILTER (field = 0) * $title + count(*) FILTER (field = 1) * $headings
        + count(*) FILTER (field = 2) * $text)::BIGINT AS weighted
FROM (
    SELECT number, field, unnest(regexp_extract_all(text, 'RUN')) AS run FROM field_texts
)
GROUP BY number, run
""".replace("'RUN'", f"'{RUN}'")


@dataclass(frozen=True, slots=True)
class FieldWeights:
    """What a word counts by the field that it is in.

    Attributes:
        title: In quarters.
        headings: In quarters.
        text: In quarters.
    """

    title: int = QUARTERS
    headings: int = QUARTERS
    text: int = QUARTERS

    @property
    def are_plain(self) -> bool:
        """Whether a word counts once, wherever it is."""
        return self == PLAIN

    @property
    def unit(self) -> int:
        """What a stored frequency or length of a word that counts once is: plain ones are stored as they are."""
        return 1 if self.are_plain else QUARTERS


PLAIN = FieldWeights()


def weigh_runs(connection: duckdb.DuckDBPyConnection, weights: FieldWeights) -> None:
    """Make ``run_counts(number, run, occurrences, weighted)`` of ``numbered_texts``.

    Args:
        connection: Where ``numbered_texts(number, text, body_start, has_title)`` is; passages begin at ``body_start``,
            in characters.
        weights: Of the fields.
    """
    connection.execute(_FIELDS)
    connection.execute(_WEIGH, {"title": weights.title, "headings": weights.headings, "text": weights.text})
    connection.execute("DROP VIEW field_texts")

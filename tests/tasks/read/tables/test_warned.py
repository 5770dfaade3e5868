"""What of an account of tables is warned of."""

from __future__ import annotations

import pytest

from nightrank.tasks.read.account import Account, Kind, Part
from nightrank.tasks.read.tables.warned import warnings_of_tables


@pytest.mark.parametrize(
    ("part", "kind", "what", "says"),
    [
        ("documents", Kind.MENDED, "HTML in texts, read as it is written", '[documents].text_format = "html"'),
        ("documents", Kind.BAD_ROW, "field 2: byte 2 (0xfc) is not UTF-8", '[documents].encoding = "windows-1252"'),
        ("queries", Kind.BAD_ROW, "byte 2 (0xfc) is not UTF-8", "iconv -f WINDOWS-1252 -t UTF-8"),
        (
            "queries",
            Kind.COLUMN_IGNORED,
            "Aufrufe (whole numbers, and nothing is known as the count)",
            "[queries.columns].count = 'Aufrufe'",
        ),
        (
            "queries",
            Kind.MENDED,
            "the column 'date' as timestamp, left out where it is none",
            'timestamp = "none"',
        ),
        ("queries", Kind.FORM, "quotes in TSV that may be quoting, kept as characters", "Write CSV"),
    ],
)
def test_what_looks_like_a_mistake_comes_with_its_first_place_and_a_remedy(
    part: Part, kind: Kind, what: str, says: str
) -> None:
    account = Account()
    account.add(part, kind, what, where="c.csv, row 2", count=3)
    [warning] = warnings_of_tables(account.entries())
    assert says in warning
    assert "c.csv, row 2" in warning


def test_what_was_guessed_or_kept_is_no_reason_for_a_warning() -> None:
    account = Account()
    account.add("documents", Kind.COLUMN_GUESSED, "Body as text", where="c.csv, row 2")
    account.add("queries", Kind.COLUMN_IGNORED, "position", where="q.csv, row 2")
    account.add("documents", Kind.MENDED, "blanks around ids, taken away", where="c.csv, row 2")
    assert warnings_of_tables(account.entries()) == []

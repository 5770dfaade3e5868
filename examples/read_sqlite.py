"""Read results that ``nightrank export --to results.sqlite`` wrote, with Python's standard library alone.

    python read_sqlite.py results.sqlite "read a csv file"
    python read_sqlite.py results.sqlite "read a csv file" '{"type":"docs"}'

Nightrank need not be installed. The same few steps work in any language: normalise the query, hash it, read one row.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import sys
import unicodedata
from contextlib import closing
from pathlib import Path
from typing import Any

IGNORABLE = (
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
JOINER = "[\u200c\u200d]"
JOINED = (
    "[\u0600-\u109f\u1780-\u18af\u1900-\u1cff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\u203c\u2049\u2190-\u245f\u2500-\u2bff\U00010a00-\U000119ff\U0001f000-\U0001faff]"
)
GET = "SELECT alias_of, results FROM answers WHERE key = ?"


def visible(text: str) -> str:
    """Without characters that print as nothing; joiners stay in emoji and between letters that are written so."""
    return re.sub(f"(?<={JOINED})({JOINER}){JOINER}*(?={JOINED})|{JOINER}+", r"\1", re.sub(IGNORABLE, "", text))


def normalise(query: str) -> str:
    """Visible characters, Unicode NFKC, case folded, i with one dot, single spaces."""
    folded = unicodedata.normalize("NFKC", visible(query)).casefold()
    folded = unicodedata.normalize("NFKC", folded).replace("\u0131", "i")
    folded = visible(re.sub("([ij\u012f\u0268\u1ecb])\u0307+", r"\1", folded))
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def key_of(query: str, filter_json: str | None = None) -> str:
    """The key of a query: SHA-256 over its parts, each behind its length as 8 bytes; the first 32 hexadecimal digits.

    Args:
        query: As people type it.
        filter_json: The filter in its canonical form, as the file's column ``filter`` has it.
    """
    state = hashlib.sha256()
    for part in ["query", normalise(query)] + ([] if filter_json is None else [filter_json]):
        data = part.encode()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()[:32]


def look_up(file: Path, query: str, filter_json: str | None = None) -> list[dict[str, Any]] | None:
    """The results of a query, best first; None where it was not answered in advance."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        row = connection.execute(GET, (key_of(query, filter_json),)).fetchone()
        if row is not None and row[0] is not None:  # another spelling of a query: its row names that query's key
            row = connection.execute(GET, (row[0],)).fetchone()
    return None if row is None else json.loads(row[1])


def main(arguments: list[str]) -> int:
    """Print the results of one query, a line each."""
    found = look_up(Path(arguments[0]), *arguments[1:3])
    if found is None:
        sys.stderr.write("This query was not answered in advance.\n")
        return 1
    for result in found:
        sys.stdout.write(f"{result['rank']:>3}  {result['score']:7.4f}  {result['document_id']}  {result['title']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

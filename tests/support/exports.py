"""Tables as programs export them, and what the account tells of them."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.tasks.read.account import Account, Kind


def json_lines(*rows: dict[str, object]) -> bytes:
    """Rows as JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(**columns: object) -> bytes:
    """Columns as Parquet."""
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def written(folder: Path, name: str, content: bytes) -> Path:
    """A new file."""
    (folder / name).write_bytes(content)
    return folder / name


def told(account: Account) -> set[tuple[Kind, str]]:
    """What an account says."""
    return {(entry.kind, entry.what) for entry in account.entries()}

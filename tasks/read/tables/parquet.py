"""Rows of a Parquet file, by record batches of bounded size.

Texts are measured and decoded one by one, because Parquet's writers do not all check that theirs are UTF-8, and one
bad text must not lose its batch. Bytes are texts where they are UTF-8, as older Impala, Hive and Spark write them.
Dates and times become ISO 8601 texts. A field of a type that JSON lacks is left out, and its row is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow
from nightrank.tasks.read.lines import decoded, too_large, unreadable
from nightrank.tasks.read.values import fields_and_left_out, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.storage.records import JsonValue

BATCH_BYTES = 32 * 1024 * 1024
MAX_BATCH_ROWS = 1024
READ_AHEAD_BYTES = 1024 * 1024


def read_parquet(
    path: Path, *, name: str, max_bytes: int
) -> Iterator[tuple[int, dict[str, JsonValue], dict[str, str]] | BadRow]:
    """The rows of a Parquet file with their numbers, from 1, and why fields are left out.

    Args:
        path: The file.
        name: What the user calls it.
        max_bytes: A row with more bytes of text is a bad row. Arrow decodes a batch as a whole, some 32 MB if
            the rows are of like size, and at least one row.

    Raises:
        InputError: It cannot be opened, is no Parquet, is damaged, or names a column twice.
    """
    try:
        with pq.ParquetFile(path, buffer_size=READ_AHEAD_BYTES, pre_buffer=False) as file:
            _check_names(file.schema_arrow.names, name=name)
            number = 0
            for batch in file.iter_batches(batch_size=_batch_rows(file.metadata), use_threads=False):
                columns = [
                    (column, _simplified(values))
                    for column, values in zip(batch.schema.names, batch.columns, strict=True)
                    if column.strip()  # of others there may be several, and nobody could say what they are
                ]
                for position in range(batch.num_rows):
                    number += 1
                    try:
                        yield number, *_row(columns, position, max_bytes)
                    except ValueError as error:
                        yield BadRow(name, number, str(error))
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # Arrow raises OSError for damage too
            raise unreadable(error, name=name) from error
        raise InputError(
            f"{name} is not a readable Parquet file ({shown(str(error))}).", remedy="Write or copy the file again."
        ) from error


def _row(
    columns: list[tuple[str, pa.Array]], position: int, max_bytes: int
) -> tuple[dict[str, JsonValue], dict[str, str]]:
    texts = {name: column[position].as_buffer() for name, column in columns if _is_text(column.type)}
    size_bytes = sum(text.size for text in texts.values() if text is not None)
    if size_bytes > max_bytes:
        raise ValueError(too_large(size_bytes, max_bytes))
    values: dict[str, object] = {}
    bytes_of: dict[str, int] = {}
    unusable: dict[str, str] = {}
    for name, column in columns:
        try:
            if name in texts:
                text = texts[name]
                values[name] = None if text is None else decoded(text.to_pybytes())
            else:
                value = column[position].as_py(maps_as_pydicts="strict")
                values[name] = value
                if isinstance(value, bytes):
                    bytes_of[name] = len(value)
        except UnicodeDecodeError:
            raise ValueError(f"field {shown(name)}: a text in it is not UTF-8") from None
        except (ValueError, KeyError, OverflowError) as error:
            unusable[name] = str(error)  # a date beyond the year 9999, say
    fields, left_out = fields_and_left_out(values)
    size_bytes += sum(size for name, size in bytes_of.items() if name in fields)  # those that are texts
    if size_bytes > max_bytes:
        raise ValueError(too_large(size_bytes, max_bytes))
    return fields, left_out | unusable


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _simplified(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    microseconds: pa.DataType | None = None  # as Python's have
    if pa.types.is_timestamp(column.type):
        microseconds = pa.timestamp("us", tz=column.type.tz)
    elif pa.types.is_duration(column.type):
        microseconds = pa.duration("us")
    elif pa.types.is_time64(column.type):
        microseconds = pa.time64("us")
    return column if microseconds is None else pc.cast(column, microseconds, safe=False)


def _batch_rows(metadata: pq.FileMetaData) -> int:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    row_bytes = max((group.total_byte_size / max(group.num_rows, 1) for group in groups), default=1.0)
    return max(1, min(MAX_BATCH_ROWS, int(BATCH_BYTES / max(row_bytes, 1.0))))


def _check_names(names: list[str], *, name: str) -> None:
    if repeated := next((column for column in names if column.strip() and names.count(column) > 1), None):
        raise InputError(
            f"{name} has more than one column {shown(repeated)}.", remedy="Give each column a name of its own."
        )

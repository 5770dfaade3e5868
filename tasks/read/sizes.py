"""How much text a collection holds, told once it is settled: what came twice counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightrank.tasks.read.account import CHARACTERS, WITH_TEXT, Kind

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.tasks.read.account import Account

BATCH_ROWS = 1024


def tell_sizes(settled: Path, account: Account) -> None:
    """Tell how many documents have a text, of how many characters, and how many are a title alone.

    Args:
        settled: A file of schema DOCUMENTS.
        account: Told; of documents with a title alone the first one by file and row.
    """
    with_text = characters = 0
    alone: list[tuple[str, int]] = []
    count = 0
    with pq.ParquetFile(settled) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=["text", "file", "row"], use_threads=False):
            is_text = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(batch["text"])), 0)
            texts, titles = batch.filter(is_text), batch.filter(pc.invert(is_text))
            with_text += texts.num_rows
            characters += pc.sum(pc.utf8_length(texts["text"])).as_py() or 0
            count += titles.num_rows
            places = zip(titles["file"].to_pylist(), titles["row"].to_pylist(), strict=True)
            alone = sorted((*alone, *places))[:1]
    add_sizes(account, with_text, characters)
    for place in alone:
        add_titles_alone(account, count, first=place)


def add_sizes(account: Account, with_text: int, characters: int) -> None:
    """Tell how many documents have a text, and of how many characters."""
    if with_text:
        account.add("documents", Kind.SIZE, WITH_TEXT, count=with_text)
        account.add("documents", Kind.SIZE, CHARACTERS, count=characters)


def add_titles_alone(account: Account, count: int, *, first: tuple[str, int]) -> None:
    """Tell how many documents are a title alone, and the file and row of the first of them."""
    name, row = first
    account.add("documents", Kind.TITLE_ALONE, "documents", where=f"{name}, row {row}", count=count)

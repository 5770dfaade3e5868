"""What an embedder makes of a collection and of queries: texts longer than it reads, characters that it does not know.

Characters are counted of a sample of texts: those of the lowest keys, so that the same texts give the same figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.files.parquet import read_column
from nightrank.tasks.embed.vocabulary import SAMPLE, Vocabulary, tokens_read, unknown_warning
from nightrank.tasks.read.account import Account, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from nightrank.storage.lance.table import ChunkTable
    from nightrank.tasks.embed.encoder import EmbedderPlan
    from nightrank.tasks.read.account import Entry


def account_of_chunks(chunks: Path, table: ChunkTable, plan: EmbedderPlan) -> tuple[Entry, ...]:
    """The account of a release's chunks.

    Args:
        chunks: A Parquet file with the column chunk_hash.
        table: Where their texts and lengths are.
        plan: Of the embedder.
    """
    account, vocabulary = Account(), Vocabulary(plan.files.folder)
    limit = tokens_read(plan.files.folder)
    if limit is not None:
        longer = pc.field("tokens") > limit - vocabulary.special_tokens
        batches = (pa.Table.from_batches([batch]).filter(longer) for batch in table.stream(["chunk_hash", "tokens"]))
        long = pa.chunked_array([part for rows in batches for part in rows["chunk_hash"].chunks], pa.string())
        _add_long(account, "documents", sum(pc.sum(pc.is_in(part, long)).as_py() or 0 for part in _hashes(chunks)))
    lowest = pa.array([], pa.string())
    for part in _hashes(chunks):
        lowest = pa.concat_arrays([lowest, part]).unique().sort()[:SAMPLE]
    _add_characters(account, "documents", vocabulary, table.rows(lowest, ["text"])["text"].to_pylist())
    return account.entries()


def account_of_queries(keys: Sequence[str], texts: Sequence[str], plan: EmbedderPlan) -> tuple[Entry, ...]:
    """The account of queries, by their keys (n,) and texts (n,)."""
    account, vocabulary = Account(), Vocabulary(plan.files.folder)
    limit = tokens_read(plan.files.folder)
    if limit is not None:
        room = limit - vocabulary.special_tokens
        # A token is a byte at least, so that most queries need not be read for it.
        long = [text for text in texts if len(text.encode("utf-8", "replace")) > room]
        _add_long(account, "queries", sum(size > room for size in vocabulary.sizes(long)))
    lowest = sorted(zip(keys, texts, strict=True))[:SAMPLE]
    _add_characters(account, "queries", vocabulary, [text for _, text in lowest])
    return account.entries()


def warnings_of_embedder(entries: Iterable[Entry]) -> tuple[str, ...]:
    """What to tell of an account, with the remedies."""
    counts = {(str(entry.part), entry.kind, entry.what): entry.count for entry in entries}
    shares, long = {}, []
    for part, what in (("documents", "chunks"), ("queries", "queries")):
        read, unknown = (counts.get((part, Kind.TOKENS, which), 0) for which in ("all", "unknown"))
        shares[f"the {part}"] = unknown / read if read else 0.0
        count = counts.get((part, Kind.LONG, what), 0)
        if count:
            remedy = " Lower [chunking].max_tokens to what it reads." if part == "documents" else ""
            long.append(f"{count:,} {what} are longer than the embedder reads; it sees their beginning alone.{remedy}")
    unknown_told = unknown_warning(shares)
    return (*(() if unknown_told is None else (unknown_told,)), *long)


def _hashes(chunks: Path) -> Iterable[pa.Array]:
    return read_column(chunks, "chunk_hash")


def _add_long(account: Account, part: Literal["documents", "queries"], count: int) -> None:
    if count:
        account.add(part, Kind.LONG, "chunks" if part == "documents" else "queries", count=count)


def _add_characters(
    account: Account, part: Literal["documents", "queries"], vocabulary: Vocabulary, texts: Sequence[str]
) -> None:
    found = vocabulary.characters(texts)
    account.add(part, Kind.TOKENS, "all", count=found.read)
    account.add(part, Kind.TOKENS, "unknown", count=found.unknown)

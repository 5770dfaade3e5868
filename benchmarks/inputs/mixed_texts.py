"""Chunks of mixed length out of real collections, and the queries that they are candidates of: what models race on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rank_bm25 import BM25Okapi

from nightrank.storage.records import Document
from nightrank.tasks.chunk.boundaries import chunk_document
from nightrank.tasks.models.tokens import load_token_counter
from nightrank.tasks.settings.index import ChunkingSettings

if TYPE_CHECKING:
    from pathlib import Path

COLLECTIONS = ("scifact", "fairytaleqa")
SIZES = (32, 64, 128, 256)  # tokens at most; each document is cut at one of them, in turn
DOCUMENTS = 800  # of each collection


class Candidates(NamedTuple):
    """A query and chunks that share words with it."""

    query: str
    texts: list[str]


def mixed_chunks(data: Path, *, tokenizer: Path, documents: int = DOCUMENTS) -> dict[str, list[str]]:
    """Chunks of both collections, from a few words to 256 tokens long, as a night cuts them.

    Args:
        data: Where the collections are, in BEIR layout.
        tokenizer: The folder of the model whose tokens are counted.
        documents: Of each collection.
    """
    count_tokens = load_token_counter(tokenizer)
    chunks: dict[str, list[str]] = {}
    for name in COLLECTIONS:
        with (data / name / "corpus.jsonl").open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line, _ in zip(lines, range(documents), strict=False)]
        chunks[name] = [
            chunk.text
            for number, row in enumerate(rows)
            for chunk in chunk_document(
                Document(row["_id"], row.get("title", ""), row["text"], {}, name, number + 1),
                settings=ChunkingSettings(max_tokens=SIZES[number % len(SIZES)]),
                count_tokens=count_tokens,
            )
        ]
    return chunks


def candidates_of(
    data: Path, chunks: dict[str, list[str]], *, queries: int, depth: int, skip: int = 0
) -> list[Candidates]:
    """The chunks that BM25 likes best, for some queries of each collection.

    Args:
        data: Where the collections are.
        chunks: By collection.
        queries: Of each.
        depth: Chunks of a query.
        skip: Queries of each that are passed over.
    """
    found = []
    for name, texts in chunks.items():
        index = BM25Okapi([text.lower().split() for text in texts])
        with (data / name / "queries.jsonl").open(encoding="utf-8") as lines:
            asked = [json.loads(line)["text"] for line, _ in zip(lines, range(skip + queries), strict=False)]
        for query in asked[skip:]:
            order = np.argsort(-index.get_scores(query.lower().split()), kind="stable")[:depth]
            found.append(Candidates(query, [texts[row] for row in order]))
    return found

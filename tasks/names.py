"""What people call the stages and queries that are measured; nothing else, so that showing a table loads little."""

from __future__ import annotations

STAGE_NAMES = {
    "static": "static embeddings",
    "bm25": "BM25",
    "dense": "dual encoder",
    "sparse": "learned sparse",
    "fused": "hybrid",
    "reranker": "reranker alone",
    "reranked": "hybrid, reranked",
    "results": "results as published",
}

KINDS_OF_JUDGED = {
    "people": "judged queries",
    "known items": "known items (titles and headings, each for its own document)",
    "clicks": "queries judged by clicks",
    "model": "queries judged by a model",
}


def judged_queries(judged_by: str | None) -> str:
    """What queries are called that are measured, by what their judgments rest on, of ``JudgedBy``.

    >>> judged_queries("people"), judged_queries("clicks"), judged_queries(None)
    ('judged queries', 'queries judged by clicks', 'judged queries')
    """
    return KINDS_OF_JUDGED[judged_by or "people"]

"""What people call the stages that are measured; nothing else, so that whoever shows a table loads nothing heavy."""

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

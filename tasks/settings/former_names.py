"""Keys as they were called before, for the message that names what they are called now; nothing else knows them."""

from __future__ import annotations

FORMER_NAMES: dict[tuple[str, ...], str] = {
    ("canary",): "[drift_check]",
    ("documents", "max_bad_rows"): "[documents].max_bad_row_share",
    ("queries", "max_bad_rows"): "[queries].max_bad_row_share",
    ("queries", "count_power"): "[queries].count_exponent",
    ("retrieval", "dense_weight"): "[retrieval].weights",
    ("gates", "overlap_persistence"): "[gates].rbo_p",
    ("schedule", "collect"): "[schedule].prune",
    ("reranker", "hosted", "key_variable"): "[reranker.hosted].api_key_env",
    ("reranker", "hosted", "key_block"): "[reranker.hosted].api_key_block",
    ("reranker", "hosted", "pairs_a_request"): "[reranker.hosted].pairs_per_request",
    ("reranker", "hosted", "requests_a_minute"): "[reranker.hosted].requests_per_minute",
    ("reranker", "hosted", "longest_wait_seconds"): "[reranker.hosted].max_backoff_seconds",
}

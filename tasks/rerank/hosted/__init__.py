"""Rerankers behind an HTTP API: requests, keys, limits, what was spent."""

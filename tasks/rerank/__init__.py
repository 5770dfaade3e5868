"""Pairs of query and chunk scored by a reranker: found, loaded, run here or on workers, remembered."""

"""Rerankers that are decoders, over packed tokens: what the pairs of a query begin with is computed once."""

"""Filters on metadata: their language, the queries that have one, the chunks that each lets through."""

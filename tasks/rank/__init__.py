"""The order of results: legs fused, pair scores weighed in, ties, diversity, one entry a document."""

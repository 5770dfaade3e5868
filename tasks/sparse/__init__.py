"""The learned sparse leg: an encoder's weighted tokens of texts and queries, and exact retrieval by their products."""

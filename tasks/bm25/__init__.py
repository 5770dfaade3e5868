"""The lexical leg: analysis of text, formulas, retrieval, the audit. Its statistics are stored by `storage/bm25`."""

"""The file of BM25 statistics: terms, postings, lengths, built whole or by what changed. No score is computed here."""

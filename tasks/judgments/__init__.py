"""Judgments that nobody gave: known items, and clicks. Files of judgments are read in `tasks/trec`."""

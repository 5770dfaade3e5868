"""Readers of markup: each gives what a reader of the published page sees, as text with Markdown's headings."""

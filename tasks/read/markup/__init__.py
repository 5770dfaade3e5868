"""Readers of markup: front matter, Markdown, HTML, PDF; each gives what a reader of the published page sees."""

"""Lightweight markup other than Markdown, as text with Markdown's headings; small readings, no renderers."""

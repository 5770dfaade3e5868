"""The suffixes that say how a file is read, and which of them a name has, whatever its case."""

from __future__ import annotations

STREAMS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz"}
"""What packed files are packed by."""
PACKED = tuple(STREAMS)
MARKDOWN_SUFFIXES = (".md", ".markdown", ".mdx")
HTML_SUFFIXES = (".html", ".htm", ".xhtml")
RST_SUFFIXES = (".rst",)
ASCIIDOC_SUFFIXES = (".adoc", ".asciidoc")
OFFICE_SUFFIXES = (".docx", ".pptx")
PAGE_SUFFIXES = (
    *(*MARKDOWN_SUFFIXES, ".txt", *RST_SUFFIXES, *ASCIIDOC_SUFFIXES, *HTML_SUFFIXES),
    *(".pdf", *OFFICE_SUFFIXES),
)
TEXT_TABLES = (".jsonl", ".ndjson", ".csv", ".tsv")
TABLE_SUFFIXES = (*(f"{table}{packed}" for table in TEXT_TABLES for packed in ("", *PACKED)), ".parquet")


def page_suffix(file_name: str) -> str:
    """Which of ``PAGE_SUFFIXES`` a file has; empty for none of them."""
    return _suffix_among(PAGE_SUFFIXES, file_name)


def table_suffix(file_name: str) -> str:
    """Which of ``TABLE_SUFFIXES`` a file has; empty for none of them."""
    return _suffix_among(TABLE_SUFFIXES, file_name)


def packed_suffix(file_name: str) -> str:
    """Which of ``PACKED`` a file has; empty for none of them."""
    return _suffix_among(PACKED, file_name)


def suffix_of(file_name: str) -> str:
    """The suffix that says how a file of a collection is read; empty where it is none that is supported.

    >>> suffix_of("Log.CSV.gz"), suffix_of("page.MD"), suffix_of("page.doc")
    ('.csv.gz', '.md', '')
    """
    return table_suffix(file_name) or page_suffix(file_name)


def _suffix_among(suffixes: tuple[str, ...], file_name: str) -> str:
    return next((suffix for suffix in suffixes if file_name.lower().endswith(suffix)), "")

"""What judgments rest on: the names, and nothing else, so that whoever reads a manifest loads nothing heavy."""

from __future__ import annotations

from typing import Literal, TypeAlias

JudgedBy: TypeAlias = Literal["people", "known items", "clicks", "model"]
"""People's reading; the collection's own titles and headings, each of which asks for its own document; what visitors
opened; a judging model."""
JUDGED_BY: tuple[JudgedBy, ...] = ("people", "known items", "clicks", "model")

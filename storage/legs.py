"""The legs of the first stage, by name, in the order in which files, tables and sums have them. Nothing else."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

LegName: TypeAlias = Literal["bm25", "dense", "sparse"]
LEGS: tuple[LegName, ...] = get_args(LegName)

"""The table of contents says who hands what to whom: a type checker refuses lines in another order, or another table.

Programs of two kinds are made from `flows/refresh.py`: with two neighbouring lines swapped, which a checker sees
without knowing any type, and with one argument that is another than the stage's own, for which it must know all.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REFRESH = (ROOT / "flows" / "refresh.py").read_text(encoding="utf-8")

# Neighbours of which neither takes what the other gives: their order is free.
FREE = {
    ("queries", "encoded"),
    ("encoded", "bm25_leg"),
    ("bm25_leg", "dense"),
    ("dense", "weighted"),
    ("measured", "known"),
    ("not_pruned", "exported"),
    ("exported", "told"),
}

OTHER_ARGUMENTS = {
    "the legs swapped": ("night, bm25_leg, dense.leg, weighted", "night, dense.leg, bm25_leg, weighted"),
    "queries for documents": ("night, inputs.documents, embedder", "night, inputs.queries, embedder"),
    "chunks of this night for all": ("night, cut.chunks, vectors", "night, cut.fresh, vectors"),
    "a leg for both": ("rerank_candidates, night, fused", "rerank_candidates, night, bm25_leg"),
    "fused for candidates": ("write_results, night, reranked.candidates", "write_results, night, fused"),
    "vectors of chunks for those of queries": ("night, asked, queries, index", "night, asked, vectors, index"),
    "parts of a release swapped": ("Built(inputs, cut, index,", "Built(inputs, index, cut,"),
    "a release that nobody reported": ("night, manifest), night, reported", "night, manifest), night, manifest"),
    "a stage without its table": ("retrieve_lexical, night, asked, index", "retrieve_lexical, night, asked"),
}


def mypy(programs: dict[str, str], folder: Path, *options: str) -> dict[str, list[str]]:
    """The errors of each of some programs, by its name."""
    paths = {name: folder / f"refresh_{number}.py" for number, name in enumerate(programs)}
    for name, path in paths.items():
        path.write_text(programs[name], encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *options, *map(str, paths.values())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    found = [re.match(r"(.+?):\d+: error: (.*)", line) for line in done.stdout.splitlines()]
    errors = [(Path(match[1]).name, match[2]) for match in found if match is not None]
    return {name: [error for file, error in errors if file == path.name] for name, path in paths.items()}


def lines_of_stages() -> list[ast.Assign]:
    """The lines that give something a name, in the block in which stages run."""
    block = next(node for node in ast.walk(ast.parse(REFRESH)) if isinstance(node, ast.With))
    return [node for node in block.body if isinstance(node, ast.Assign)][1:]  # the first one names what a run has


def name_of(line: ast.Assign) -> str:
    return ast.unparse(line.targets[0])


def swapped(first: ast.Assign, second: ast.Assign) -> str:
    lines = REFRESH.splitlines(keepends=True)
    one, between, other = (
        lines[first.lineno - 1 : first.end_lineno],
        lines[first.end_lineno : second.lineno - 1],
        lines[second.lineno - 1 : second.end_lineno],
    )
    return "".join([*lines[: first.lineno - 1], *other, *between, *one, *lines[second.end_lineno :]])


def test_two_lines_that_depend_on_each_other_cannot_be_swapped(tmp_path: Path) -> None:
    lines = lines_of_stages()
    programs = {f"{name_of(one)} {name_of(other)}": swapped(one, other) for one, other in pairwise(lines)}
    errors = mypy({"as it is": REFRESH, **programs}, tmp_path, "--follow-imports=skip", "--config-file=")
    assert len(programs) > 15
    assert errors.pop("as it is") == []
    assert {tuple(name.split()) for name, found in errors.items() if not found} == FREE
    assert all(error.startswith(("Cannot determine type of", "Name ")) for found in errors.values() for error in found)


@pytest.mark.slow
def test_no_stage_takes_another_table_than_its_own(tmp_path: Path) -> None:
    for own, _ in OTHER_ARGUMENTS.values():
        assert REFRESH.count(own) == 1, own
    programs = {name: REFRESH.replace(own, other) for name, (own, other) in OTHER_ARGUMENTS.items()}
    errors = mypy({"as it is": REFRESH, **programs}, tmp_path)
    assert errors.pop("as it is") == []
    assert [name for name, found in errors.items() if not found] == []

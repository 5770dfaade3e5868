"""Stages hand on what they make: a file of a release is named by the one stage that makes it, and then passed along."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

STAGES = Path(__file__).parents[3] / "tasks" / "stages"
MADE = re.compile(r"\bnight\.(files|scratch)\.(\w+)")
NO_TABLE = {("scratch", "folder")}  # the folder itself, which is made at the beginning and goes at the end


def test_each_file_is_named_by_the_stage_that_makes_it_alone() -> None:
    named_by: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in STAGES.glob("*.py"):
        for function in re.split(r"\n(?=def )", path.read_text(encoding="utf-8")):
            for layout, name in MADE.findall(function):
                named_by[layout, name].add(f"{path.stem}: {function.partition('(')[0]}")
    found = {file: functions for file, functions in named_by.items() if file not in NO_TABLE}
    assert len(found) > 20
    assert {file: functions for file, functions in found.items() if len(functions) > 1} == {}

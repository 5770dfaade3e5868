"""The README is short, and what it promises is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_can_be_read_in_minutes() -> None:
    lines = README.splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 120


def test_its_two_commands_are_targets_of_make() -> None:
    shown = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert shown == ["demo", "test"]
    assert all(f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8") for target in shown)


def test_what_checks_run_begins_with_the_readmes_test_command() -> None:
    assert re.search(r"\bmake (\w+ )*test\b", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))


def test_each_measured_line_names_a_program_of_the_benchmarks() -> None:
    section = README.partition("## Measured\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert len(lines) == 8
    programs = [re.findall(r"`(\w+)[^`]*` \|$", line) for line in lines]
    assert all((ROOT / "benchmarks" / f"{name}.py").is_file() for [name] in programs)

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks import results
from benchmarks.parts.claims import Claim, benchmark_parser, main_of

if TYPE_CHECKING:
    from pathlib import Path


def kept(work: Path, program: str, arguments: list[str], *, ratio: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [f"{program}.py", "--work", str(work), *arguments])
    claim = Claim("sorting | lists", "peer", 3000.0, 1000.0, "lists/s", ratio, 2.0, "1 to 2", 0.25, "the same")
    with pytest.raises(SystemExit):
        main_of([claim], benchmark_parser("How fast is\nit?\n\n    python").parse_args())


def test_the_page_has_what_every_program_kept_with_its_command_and_no_place_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(tmp_path, "zebra", ["--small", "--json"], ratio=3.0, monkeypatch=monkeypatch)
    kept(tmp_path, "bm25_speed", ["--rounds", "7"], ratio=1.5, monkeypatch=monkeypatch)
    page = tmp_path / "RESULTS.md"
    monkeypatch.setattr(sys, "argv", ["", "--work", str(tmp_path), "--page", str(page), "--date", "2026-01-02"])

    with pytest.raises(SystemExit) as ended:
        results.main()

    assert ended.value.code == 1  # bm25_speed missed its target
    text = page.read_text()
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("`")] == [
        "`python -m benchmarks.bm25_speed --rounds 7`",
        "`python -m benchmarks.zebra --small`",
    ]
    row = r"| sorting \| lists | peer | 3,000 | 1,000 | lists/s | {ratio} | 2 | 25% | 1 to 2 | the same | {verdict} |"
    assert row.format(ratio="1.50", verdict="MISSED") in lines
    assert row.format(ratio="3.00", verdict="ok") in lines
    assert "## How fast is it?" in lines
    assert "2026-01-02" in text
    assert str(tmp_path) not in text


def test_where_every_target_is_reached_the_program_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(tmp_path, "zebra", [], ratio=3.0, monkeypatch=monkeypatch)
    assert json.loads((tmp_path / "claims" / "zebra.json").read_text())["claims"][0]["passed"] is True
    arguments = ["", "--work", str(tmp_path), "--page", str(tmp_path / "page.md"), "--date", "today"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        results.main()
    assert not ended.value.code

"""The ids of a takedown, as a file has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.flows.operate.retract import ids_in

if TYPE_CHECKING:
    from pathlib import Path


def test_ids_in_a_file_are_read_without_the_blanks_around_them(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes("\ufeff  tea\r\nblack tea\t\n\n \u00a0 \n\tpages/über uns.md \n".encode())
    assert ids_in(path) == ["tea", "black tea", "pages/über uns.md"]

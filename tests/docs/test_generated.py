"""Pages that the code writes are as it would write them now."""

from __future__ import annotations

import pytest

from docs.generate import DOCS, pages


@pytest.mark.parametrize("name", list(pages()))
def test_a_generated_page_is_not_stale(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run `python docs/generate.py`"

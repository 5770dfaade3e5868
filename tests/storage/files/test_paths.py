from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.storage.files.paths import require_usable
from nightrank.storage.workspace.open import open_workspace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["what?", "back\\slash"])
def test_a_path_that_is_read_as_another_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    with pytest.raises(InputError, match="DuckDB reads as another path"):
        open_workspace(folder / "workspace")
    with pytest.raises(InputError, match="DuckDB reads as another path"):
        open_workspace("workspace", base=folder)
    with pytest.raises(InputError, match="DuckDB reads as another path"):
        open_workspace("s3://bucket/prefix", cache=folder)
    assert not (tmp_path / name).exists()


def test_other_names_are_usable(tmp_path: Path) -> None:
    require_usable(tmp_path / "jürgen's 100 % #1 [a] {b}" / "*")

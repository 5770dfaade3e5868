from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.read.age import source_age_days
from nightrank.tasks.settings.inputs import DocumentsSettings

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def written(path: Path, *, days_ago: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("text")
    at = (NOW - timedelta(days=days_ago)).timestamp()
    os.utime(path, (at, at))


def age(folder: Path, source: str) -> float | None:
    return source_age_days(DocumentsSettings(source=source), base=folder, named={}, now=NOW)


def test_the_newest_file_that_is_read_decides(tmp_path: Path) -> None:
    written(tmp_path / "docs/old.md", days_ago=9)
    written(tmp_path / "docs/deep/new.txt", days_ago=2.5)
    written(tmp_path / "docs/picture.png", days_ago=0)  # nobody reads it
    assert age(tmp_path, "docs") == pytest.approx(2.5)
    assert age(tmp_path, "docs/*.md") == pytest.approx(9)
    assert age(tmp_path, "docs/old.md") == pytest.approx(9)


def test_a_file_from_after_now_has_no_age_and_a_data_set_never_has_one(tmp_path: Path) -> None:
    written(tmp_path / "a.txt", days_ago=-1)
    assert age(tmp_path, "a.txt") == 0.0
    assert age(tmp_path, "ir_datasets:beir/scifact/test") is None


def test_a_source_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        age(tmp_path, "docs")

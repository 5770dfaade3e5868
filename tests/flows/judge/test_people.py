"""What people's page begins with, and what it refuses to write over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.flows.judge.people import judging
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError
from tests.support.takedown import copy_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.collection import Collection


def test_judgments_that_are_not_in_the_log_are_not_written_over(published: Collection, tmp_path: Path) -> None:
    published = copy_of(published, tmp_path / "project")
    published.settings["judgments"] = {"qrels": "judgments/people.tsv"}  # named before it is there
    published.write()
    configuration = load_settings(published.settings_file)
    path = published.folder / "judgments" / "people.tsv"
    with judging(configuration, queries=2, releases=()) as session:
        item = session.next_item("Ann")
        assert item is not None
        session.say("Ann", item, 2)
    with judging(configuration, queries=2, releases=()) as session:
        session.undo("Ann")
        assert not path.exists()
        session.say("Ann", item, 3)
    with path.open("a") as file:
        file.write("by hand\td1\t2\tpeople\n")
    before = path.read_bytes()
    with pytest.raises(InputError, match="holds 1 judgments that people"):
        judging(configuration, queries=2, releases=()).__enter__()
    path.with_name("people.jsonl").unlink()
    with pytest.raises(InputError, match="holds 2 judgments"):
        judging(configuration, queries=2, releases=()).__enter__()
    assert path.read_bytes() == before

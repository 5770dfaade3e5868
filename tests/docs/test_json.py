"""What ``--json`` prints is what the page on it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import DOCS

if TYPE_CHECKING:
    from tests.conftest import Command
    from tests.support.collection import Collection


def documented() -> dict[str, set[str]]:
    """The keys of each command's object, from the page's first table; a row without a command goes on the one above."""
    found: dict[str, set[str]] = {}
    names: list[str] = []
    for line in (DOCS / "reference" / "json.md").read_text(encoding="utf-8").splitlines():
        if line.startswith(("| `", "| |")):
            _, first, keys, _ = line.split("|")
            names = re.findall(r"`(\w+)`", first) or names
            for name in names:
                found.setdefault(name, set()).update(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", keys)))
    return found


@pytest.mark.parametrize(
    "command",
    [("refresh",), ("search", "black tea"), ("evaluate",), ("releases",), ("doctor",), ("report",)],
    ids=lambda command: command[0],
)
def test_the_keys_of_an_object_are_those_of_the_page(
    published: Collection, nightrank: Command, command: tuple[str, ...]
) -> None:
    ended = nightrank(*command, "-c", published.settings_file, "--json")

    assert ended.code == 0, ended.err
    assert set(ended.json) <= documented()[command[0]]

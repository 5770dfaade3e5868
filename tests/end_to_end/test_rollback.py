"""Going back to an earlier release: readers see it at once, and the next night starts from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.published import assert_same_rankings, check_readable, rankings

if TYPE_CHECKING:
    from tests.conftest import Command
    from tests.end_to_end.conftest import Refresh
    from tests.support.collection import Collection


def test_readers_see_the_earlier_release_and_the_next_night_publishes_a_new_one(
    collection: Collection, refresh: Refresh, nightrank: Command
) -> None:
    first = refresh(collection).manifest.release_id
    before = rankings(collection.workspace)
    collection.document("tea")["text"] = "Nothing is said of it any more."
    second = refresh(collection).manifest.release_id
    edited = rankings(collection.workspace)
    assert before["black tea"] != edited["black tea"]

    ended = nightrank("rollback", "-c", collection.settings_file, "--json")

    assert (ended.code, ended.err) == (0, "")
    assert ended.json == {"current": first, "before": second}
    assert rankings(collection.workspace) == before
    check_readable(collection.workspace)
    assert nightrank("doctor", "-c", collection.settings_file).code == 0
    listed = nightrank("releases", "-c", collection.settings_file, "--json").json
    assert [(row["release_id"], row["current"]) for row in listed["releases"]] == [(first, True), (second, False)]

    summary = refresh(collection)

    assert (summary.published, summary.changed) == (True, True)
    assert summary.manifest.previous == first
    assert summary.counts.documents_edited == 1
    assert_same_rankings(rankings(collection.workspace), edited)


def test_the_command_line_tells_people_what_is_current_and_what_cannot_be(
    collection: Collection, refresh: Refresh, nightrank: Command
) -> None:
    only = refresh(collection).manifest.release_id

    none = nightrank("rollback", "-c", collection.settings_file)
    same = nightrank("rollback", only, "-c", collection.settings_file, "--json")

    assert (none.code, none.out) == (2, "")
    assert f"There is no accepted release before {only}" in none.err
    assert (same.code, same.out) == (2, "")
    assert "is the current one already" in same.err

    collection.remove("salt")
    second = refresh(collection).manifest.release_id
    shown = nightrank("rollback", only, "-c", collection.settings_file)

    assert (shown.code, shown.err) == (0, "")
    assert f"Release {only} is current now; before, it was {second}." in " ".join(shown.out.split())
    assert FolderWorkspace(collection.workspace).current_release_id() == only

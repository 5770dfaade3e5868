"""A night leaves a report, and is worth more than it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.personal_data import impersonal_id
from tests.support.published import check_readable

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Refresh
    from tests.support.collection import Collection


def test_every_release_has_its_report_which_the_manifest_names_and_no_address(
    collection: Collection, refresh: Refresh
) -> None:
    address = "jane.doe@example.org"
    names = {"q-honey": address}
    collection.log = [(names.get(one, one), text, count) for one, text, count in collection.log]
    collection.qrels = [(names.get(one, one), document, grade) for one, document, grade in collection.qrels]
    first = refresh(collection)
    collection.remove("tea")
    second = refresh(collection)

    for summary in (first, second):
        release_id = summary.manifest.release_id
        manifest = check_readable(collection.workspace, release_id)
        assert "report.html" in manifest.files
        assert "report" in summary.seconds
    folder = FolderWorkspace(collection.workspace).release(release_id)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert first.manifest.release_id in page
    assert "0 added, 0 edited, 1 removed" in page
    assert address not in page
    measured = pq.read_table(folder / "evaluation.parquet").column("query_id").to_pylist()
    assert impersonal_id(address) in measured
    tables = [pq.read_table(path).to_pydict() for path in sorted(folder.glob("*.parquet"))]
    assert address not in str(tables)


def test_a_night_whose_report_cannot_be_written_is_published_without_and_says_why(
    collection: Collection, refresh: Refresh
) -> None:
    first = refresh(collection)
    folder = FolderWorkspace(collection.workspace).release(first.manifest.release_id)
    (folder / "results.sqlite").write_bytes(b"torn")
    collection.remove("tea")

    second = refresh(collection)

    assert second.published
    assert [warning for warning in second.warnings if warning.startswith("The report was not written. ")]
    assert "report.html" not in check_readable(collection.workspace).files

"""A workspace in an object store: nights, a second machine, publishers that meet, kills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.compare_releases import rankings_of
from benchmarks.plain_nights import refresh_plainly
from flows.settings import load_settings
from tests.collection import Collection
from tests.published import assert_same_rankings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.object_store import Bucket


def test_nights_give_what_they_give_in_a_folder(bucket: Bucket, collection: Collection, tmp_path: Path) -> None:
    there = Collection(
        tmp_path / "there", {**collection.settings}, collection.documents, collection.log, collection.qrels
    )
    there.settings[""] = {**there.settings.get("", {}), "workspace": bucket.url}
    there.settings["storage"] = bucket.settings(tmp_path / "cache")
    for each in (collection, there):
        each.write()
    for number in range(3):
        here, over_there = (refresh_plainly(each.settings_file) for each in (collection, there))
        print(here.counts, over_there.counts)
        left, right = (rankings_of(load_settings(each.settings_file).workspace) for each in (collection, there))
        assert_same_rankings(left, right)
        for document in collection.documents[number:20:5]:
            document["text"] = f"{document['text']} Edition {number}."
        for each in (collection, there):
            each.write()
    print(bucket.keys())
    assert False

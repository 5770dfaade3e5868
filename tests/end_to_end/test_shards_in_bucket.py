"""A night whose workspace is in a bucket, by which alone the run and its workers meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.parts.compare_releases import rankings_of
from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from tests.support.collection import Collection
from tests.support.published import assert_same_rankings
from tests.support.watched_workers import SHARD_TEXTS, SHARDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.conftest import Refresh
    from tests.support.object_store import Bucket

pytest.importorskip("prefect_dask")
pytestmark = pytest.mark.slow


def test_workers_get_their_shards_from_the_bucket_and_none_stays_there(
    bucket: Bucket, collection: Collection, refresh: Refresh, tmp_path: Path
) -> None:
    alone = Collection(tmp_path / "alone", {**collection.settings}, collection.documents, collection.log)
    alone.write()
    refresh_plainly(alone.settings_file)
    collection.settings[""] = {"workspace": bucket.url}
    collection.settings["storage"] = bucket.settings(tmp_path / "cache")
    collection.settings["execution"] = {**collection.settings["execution"], "runner": "dask", **SHARDS}

    assert refresh(collection).counts.chunks_embedded > 5 * SHARD_TEXTS

    workspaces = (load_settings(settings.settings_file).workspace for settings in (collection, alone))
    assert_same_rankings(*map(rankings_of, workspaces))
    assert not [key for key in bucket.listed() if ".staging-" in key]

"""What a night publishes shows in Prefect as assets, with what they were made of."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from nightrank.flows.refresh import refresh

if TYPE_CHECKING:
    from tests.support.collection import Collection


def materialised(api: str, key: str) -> list[dict[str, Any]]:
    """Events that say that an asset was made, as soon as there is one."""
    condition = {
        "event": {"name": ["prefect.asset.materialization.succeeded"]},
        "resource": {"id": [key]},
    }
    for _ in range(60):
        found = httpx.post(f"{api}/events/filter", json={"filter": condition}, timeout=60).json()
        if found["events"]:
            return list(found["events"])
        time.sleep(0.5)
    return []


@pytest.mark.long
def test_index_and_release_are_made_of_documents_log_and_judgments(prefect_api: str, collection: Collection) -> None:
    place = f"file://{collection.folder.resolve()}"

    summary = refresh(str(collection.settings_file))

    for made in ("index", "release"):
        [event] = materialised(prefect_api, f"{place}/workspace/{made}")
        sources = {one["prefect.resource.id"] for one in event["related"] if one["prefect.resource.role"] == "asset"}
        assert sources == {f"{place}/{name}" for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv")}
        assert event["payload"]["release"] == summary.manifest.release_id
        assert event["payload"]["documents"] == len(collection.documents)

"""What a night makes, as Prefect's assets: from which documents, log and judgments the index and the release came.

An asset is what stays under one name while nights replace it: the index (vectors and BM25 statistics) and the release
that readers see. Each night's materialisation carries what it was.
"""

from __future__ import annotations

import re
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from prefect.assets import Asset, AssetProperties, materialize
from prefect.context import FlowRunContext

from nightrank.flows.engine.names import workspace_name
from nightrank.tasks.read.sources.kind import connector_of, is_of_connector

if TYPE_CHECKING:
    from prefect import Task

    from nightrank.storage.records import JsonValue
    from nightrank.storage.release.manifest import Manifest
    from nightrank.tasks.night import Night

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_KEY = 512  # Prefect's


def making_release(publish: Task[P, T], night: Night, manifest: Manifest) -> Task[P, T]:
    """The task that publishes as one that makes the assets of a night; outside a flow run the task as it is.

    Args:
        publish: It.
        night: Whose release it publishes.
        manifest: Of the release; what the assets' pages show of it.
    """
    if FlowRunContext.get() is None or manifest.status != "accepted":
        return publish
    made, counts = (index(night), release(night)), manifest.counts
    metadata: dict[str, JsonValue] = {
        "release": manifest.release_id,
        "documents": counts.documents,
        "chunks": counts.chunks,
        "queries": counts.queries,
        **{f"{stage} {name}": value for stage, by in manifest.measures.items() for name, value in by.items()},
    }

    @wraps(publish.fn)
    def make(*args: P.args, **kwargs: P.kwargs) -> T:
        outcome = publish.fn(*args, **kwargs)
        for asset in made:
            asset.add_metadata(metadata)
        return outcome

    return materialize(*made, name=publish.name, cache_policy=publish.cache_policy, asset_deps=sources(night))(make)


def sources(night: Night) -> list[str | Asset]:
    """What is read: documents, query log and judgments, as far as their places can be keys of assets."""
    settings = night.settings
    named = {
        "documents": settings.documents.source,
        "query log": settings.queries.log,
        "judgments": settings.judgments.qrels,
    }
    return [
        _asset(_address(place, night), name=f"{what} of {_workspace(night)}")
        for what, place in named.items()
        if place is not None
    ]


def index(night: Night) -> Asset:
    """Vectors and BM25 statistics."""
    return _asset(f"{_address(night.settings.workspace, night)}/index", name=f"index of {_workspace(night)}")


def release(night: Night) -> Asset:
    """What readers see."""
    return _asset(f"{_address(night.settings.workspace, night)}/release", name=f"release of {_workspace(night)}")


def asset_key(address: str) -> str:
    """An address as the key of an asset: without a user's name and password, and characters that Prefect knows not.

    >>> asset_key("s3://key:secret@search/shop (old)/index")
    's3://search/shop-old-/index'
    """
    scheme, _, rest = address.partition("://")
    place, *path = rest.split("/")
    whole = "/".join([place.rpartition("@")[2], *path])
    return f"{scheme.lower()}://{re.sub(r'[^A-Za-z0-9._~/:@*!$()+,;=-]+|[()]+', '-', whole)}"[:LONGEST_KEY]


def _asset(address: str, *, name: str) -> Asset:
    return Asset(key=asset_key(address), properties=AssetProperties(name=name))


def _address(place: str, night: Night) -> str:
    if "://" in place:
        return place
    if place.startswith("ir_datasets:"):
        return place.replace(":", "://", 1).replace("_", "-", 1)
    if is_of_connector(place, base=night.base):
        return "{}://{}".format(*connector_of(place))
    return f"file://{(night.base / place).resolve().as_posix()}"


def _workspace(night: Night) -> str:
    return workspace_name(night.settings.workspace, base=night.base)

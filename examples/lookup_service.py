"""A web service that answers known queries from the published release, and follows each new one.

    NIGHTRANK_WORKSPACE=nightrank-demo/workspace uvicorn lookup_service:app
    curl 'http://127.0.0.1:8000/search?q=read+a+csv+file'

A look-up is one read from a SQLite file: no model is loaded here. A query that was not in the log gets 404;
that is the place to ask a live search engine instead.
"""

from __future__ import annotations

import json
import os
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, HTTPException, Request

from nightrank import FollowingCache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the results once; a thread looks every 30 seconds whether another release is live."""
    with FollowingCache.open(os.environ.get("NIGHTRANK_WORKSPACE", "workspace"), look_every_seconds=30) as cache:
        app.state.cache = cache
        yield


app = FastAPI(title="Look-ups", lifespan=lifespan)


@app.get("/search")
def search(request: Request, q: str, filter: str | None = None) -> dict[str, Any]:  # noqa: A002 (as it stands in the URL)
    """The cached results of a query.

    Args:
        request: Carries the application.
        q: As people type it.
        filter: As JSON, such as ``{"type": "docs"}``.

    Raises:
        HTTPException: 400 for a filter that is not JSON, 404 for a query that was not answered in advance.
    """
    try:
        filter_by = None if filter is None else json.loads(filter)
    except ValueError as error:
        raise HTTPException(400, "The filter is not JSON.") from error
    found = request.app.state.cache.get(q, filter_by=filter_by)
    if found is None:
        raise HTTPException(404, "This query was not answered in advance.")
    return {"query": found.query, "release": found.release_id, "results": [asdict(one) for one in found.results]}


@app.get("/health")
def health(request: Request) -> dict[str, Any]:
    """Which release is served, and how many queries it answers."""
    cache = request.app.state.cache
    return {"release": cache.release_id, "queries": len(cache)}

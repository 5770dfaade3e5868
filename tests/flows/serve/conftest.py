"""A small collection that is served, in this process."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.serve.app import application
from nightrank.flows.serve.http.guard import Guard
from nightrank.flows.serve.run import serving
from nightrank.flows.settings_file import load_settings
from tests.support.collection import small_collection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.flows.serve.server import Server
    from tests.conftest import Models
    from tests.support.collection import Collection


@pytest.fixture(scope="session")
def published_plainly(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """The small collection with a release; nothing here changes it."""
    folder = tmp_path_factory.mktemp("served") / "project"
    collection = small_collection(folder, embedder=models.embedder, reranker=models.reranker)
    collection.settings["retrieval"] = {"candidate_depth": 8}
    collection.write()
    refresh_plainly(collection.settings_file)
    return collection


@contextmanager
def served(
    collection: Collection, guard: Guard | None = None, **settings: object
) -> Iterator[tuple[TestClient, Server]]:
    """A server of a collection under some settings of ``[serve]``, and a client of it.

    By itself it looks for another release once an hour, so that a test says when it does.
    """
    configuration = load_settings(collection.settings_file)
    serve = configuration.settings.serve.model_copy(update={"look_every_seconds": 3600.0, **settings})
    configuration = replace(configuration, settings=configuration.settings.model_copy(update={"serve": serve}))
    with serving(configuration) as server:
        lets_in = Guard(None, hosts=(), max_body_bytes=2048) if guard is None else guard
        with TestClient(application(server, lets_in)) as client:
            yield client, server


@pytest.fixture(scope="session")
def asked(published_plainly: Collection) -> Iterator[tuple[TestClient, Server]]:
    """A client of a server that no test changes."""
    with served(published_plainly) as both:
        yield both


@pytest.fixture(scope="session")
def client(asked: tuple[TestClient, Server]) -> TestClient:
    return asked[0]

"""What the tests of whole runs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from nightrank.flows.refresh import refresh as refresh_flow
from tests.support.nights import night_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nightrank.flows.night.summary import Summary
    from tests.support.collection import Collection
    from tests.support.nights import Nights


@pytest.fixture(scope="module")
def nights() -> Iterator[Nights]:
    """Nights that may be killed."""
    with night_process() as process:
        yield process


class Refresh(Protocol):
    """A night, as ``refresh(collection)``."""

    def __call__(self, collection: Collection) -> Summary: ...


@pytest.fixture
def refresh(prefect_api: str) -> Refresh:
    """Write what the collection holds now and run a night on it, in this process."""

    def run(collection: Collection) -> Summary:
        collection.write()
        return refresh_flow(str(collection.settings_file))

    return run

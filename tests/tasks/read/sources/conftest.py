"""A store on its bad days, and a reader of sources."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.records import BadRow, Document
from nightrank.storage.sources.kept import Keeping
from nightrank.tasks.read.account import Account, Entry, Kind
from nightrank.tasks.read.source import read_documents
from tests.support.watched_store import watched_store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from nightrank.tasks.settings.inputs import DocumentsSettings
    from tests.support.watched_store import Watched


@pytest.fixture(scope="session")
def stores() -> Iterator[Callable[[], Watched]]:
    with watched_store(page=5) as make:
        yield make


@pytest.fixture
def bucket(stores: Callable[[], Watched]) -> Watched:
    """An empty bucket whose listings come 5 keys at a time."""
    return stores()


@dataclass
class Reader:
    """Reads sources as nights do, one after another, and keeps what they keep."""

    folder: Path
    account: tuple[Entry, ...] = ()
    bad: list[BadRow] = field(default_factory=list)

    def read(
        self,
        settings: DocumentsSettings,
        *,
        workspace: str | None = None,
        retracted: Collection[str] = (),
        sample: int | None = None,
    ) -> list[Document]:
        """The documents of a source."""
        account = Account()
        keeping = Keeping(self.folder / "sources", workspace, retracted, sample)
        rows = list(read_documents(settings, base=self.folder, account=account, keeping=keeping))
        self.account = account.entries()
        self.bad = [row for row in rows if isinstance(row, BadRow)]
        return [row for row in rows if isinstance(row, Document)]

    def texts(self, settings: DocumentsSettings) -> dict[str, str]:
        """The texts by id."""
        return {document.document_id: document.text for document in self.read(settings)}

    def told(self, kind: Kind) -> dict[str, int]:
        """What the account of the last reading says."""
        return {entry.what: entry.count for entry in self.account if entry.kind is kind}


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)

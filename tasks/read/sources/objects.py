"""The files of a listing of keys: which of them a folder's rules leave in, as if the keys were paths of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.tasks.read.folder.find import BESIDE_CORPUS, Found, SourceFile, beside_corpus, supported
from nightrank.tasks.read.folder.partitions import partitions_of
from nightrank.tasks.read.folder.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nightrank.storage.sources.kept import Kept
    from nightrank.tasks.read.account import Account
    from nightrank.tasks.settings.inputs import DocumentsSettings

_CORPUS = "corpus.jsonl"
_NO_NAMES = (".", "..")  # of keys that are no paths, which are told and not hidden


def wanted_keys(keys: Iterable[str], settings: DocumentsSettings, *, account: Account) -> Iterator[str]:
    """The keys that are read, of all in the order of a walk through folders; the account is told of the others.

    Raises:
        InputError: There is none.
    """
    found = _walked(keys, Selection.of(settings, {}))
    for file in supported(found, folder=Path(), source=settings.source, account=account):
        yield file.document_id


def kept_files(kept: Kept, *, alone: str | None = None) -> Iterator[SourceFile]:
    """What is kept of the wanted keys, as files of a folder.

    Args:
        kept: It.
        alone: What the user calls the source, where it is one object.
    """
    for content in kept.contents():
        is_alone, key = alone is not None, content.key
        yield SourceFile(
            content.path or Path(),
            alone or key,
            key,
            is_alone=is_alone,
            partitions={} if is_alone else partitions_of(key),
            fault=content.reason or "",
        )


def _walked(keys: Iterable[str], selection: Selection) -> Iterator[Found]:
    """What a folder's rules say of each key, and once of each folder that is left out as a whole."""
    left_out = "\0"
    known: list[str] = []  # the folders of the key before, which are not left out
    corpora: set[str] = set()
    for key in keys:
        if key.startswith(left_out):
            continue
        *parents, name = key.split("/")
        if any(part.startswith(".") and part not in _NO_NAMES for part in (*parents, name)):
            continue
        folders = ["/".join(parents[: depth + 1]) for depth in range(len(parents))]
        why_not, what = "", ""
        for folder in folders:
            if folder in known:
                continue
            why_not, what = _why_not(folder, selection, corpora, is_folder=True), folder
            if why_not:
                left_out = f"{folder}/"
                break
        known = folders if not why_not else []
        if not why_not:
            why_not, what = _why_not(key, selection, corpora, is_folder=False), key
            if name.startswith(_CORPUS):
                corpora.add("/".join(parents))
        yield Found(what, why_not)


def _why_not(path: str, selection: Selection, corpora: set[str], *, is_folder: bool) -> str:
    folder, _, name = path.rpartition("/")
    if why_not := selection.why_not(path, Path(path), is_folder=is_folder):
        return why_not
    return BESIDE_CORPUS if folder in corpora and name in beside_corpus({_CORPUS, name}) else ""

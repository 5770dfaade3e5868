"""The results of a release as readers get them, without what was taken down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from nightrank.storage.errors import MachineError
from nightrank.storage.foreign import machine_error
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.results.file import ResultsFile
from nightrank.storage.workspace.base import ANSWERS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from nightrank.storage.retracted.listed import Replaced, Retracted
    from nightrank.storage.workspace.base import Workspace


def open_answers(workspace: Workspace, release_id: str, retracted: Retracted) -> ResultsFile:
    """The results of a release as readers get them: without what was taken down.

    Args:
        workspace: Where it lies.
        release_id: Its id, known before the list was read.
        retracted: The list.

    Raises:
        MachineError: A file is not there, or cannot be read.
    """
    path = ReleaseFiles.of(workspace, release_id, only=[ReleaseFiles.results]).results.path
    if not retracted.documents:
        return ResultsFile(path)
    replaced = retracted.releases.get(release_id)
    if replaced is None:
        return FilteredResults(path, documents=retracted.documents)
    if replaced.file is None:
        return ResultsFile(path)
    return ReplacedResults(path, replaced=path_of_answers(workspace, replaced))


def path_of_answers(workspace: Workspace, replaced: Replaced) -> Path:
    """Where replaced answers lie, brought here where they are elsewhere.

    Raises:
        MachineError: They are not there, or not what the list says.
    """
    try:
        path = workspace.bring(f"{ANSWERS}/{replaced.file}", sha256=replaced.sha256)
    except OSError as error:
        told = machine_error(error)
        raise (MachineError(str(error), remedy="Run again.") if told is None else told) from error
    if path is None:
        message = f"{workspace}/{ANSWERS}/{replaced.file}, answers without what was taken down, is missing or damaged."
        raise MachineError(message, remedy="Run `nightrank retract` without an id: it writes them anew.")
    return path


class ReplacedResults(ResultsFile):
    """The results of a release, some of whose answers are in another file.

    Args:
        path: The release's own.
        replaced: The results file with the answers that count instead, and the aliases of their queries.
    """

    def __init__(self, path: Path, *, replaced: Path) -> None:
        self._replaced = ResultsFile(replaced)
        try:
            super().__init__(path)
        except BaseException:
            self._replaced.close()
            raise

    @override
    def close(self) -> None:
        super().close()
        self._replaced.close()

    @override
    def get(self, key: str) -> tuple[str, bytes] | None:
        found = self._replaced.get(key)
        return super().get(key) if found is None else found

    @override
    def rows(self) -> Iterator[tuple[str, str, bytes]]:
        changed = self._replaced.rows()
        following = next(changed, None)
        for row in super().rows():
            if following is not None and following[0] == row[0]:
                yield following
                following = next(changed, None)
            else:
                yield row


class FilteredResults(ResultsFile):
    """The results of a release that the list does not speak of: what was taken down is left out, and nothing fills up.

    Args:
        path: The release's own.
        documents: Ids of what was taken down.
    """

    def __init__(self, path: Path, *, documents: Collection[str]) -> None:
        self._documents = frozenset(documents)
        super().__init__(path)

    @override
    def get(self, key: str) -> tuple[str, bytes] | None:
        found = super().get(key)
        return None if found is None else (found[0], self._without(found[1]))

    @override
    def rows(self) -> Iterator[tuple[str, str, bytes]]:
        for key, text, results in super().rows():
            yield key, text, self._without(results)

    def _without(self, results: bytes) -> bytes:
        try:
            entries: list[dict[str, Any]] = msgspec.json.decode(results, type=list[dict[str, Any]])
        except (msgspec.DecodeError, RecursionError):
            return results  # whoever reads it says what is wrong with it
        kept = [entry for entry in entries if entry.get("document_id") not in self._documents]
        if len(kept) == len(entries):
            return results
        return msgspec.json.encode([{**entry, "rank": place} for place, entry in enumerate(kept, start=1)])

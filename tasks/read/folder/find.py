"""The files that a source names: a folder and all below it, a glob, or one file."""

from __future__ import annotations

import glob
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.errors import InputError
from nightrank.tasks.read.account import LINKED, UNREADABLE_FOLDER, Kind
from nightrank.tasks.read.folder.partitions import partitions_of
from nightrank.tasks.read.folder.pattern import matching
from nightrank.tasks.read.folder.selection import Selection
from nightrank.tasks.read.lines import unreadable
from nightrank.tasks.read.suffixes import PAGE_SUFFIXES, TABLE_SUFFIXES, suffix_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.read.account import Account
    from nightrank.tasks.settings.inputs import DocumentsSettings

SUPPORTED = ", ".join((*PAGE_SUFFIXES, *TABLE_SUFFIXES))
WITHOUT_SUFFIX = "without a suffix"
BESIDE_CORPUS = "queries and judgments beside BEIR's corpus.jsonl"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the source.

    Attributes:
        path: Where it is.
        name: What the user calls it: relative to the source's folder, or as the settings name it.
        document_id: The id of the document that it holds, where it is a page.
        is_alone: Whether the settings name this very file.
        partitions: Fields that its folders stand for.
        fault: Why it cannot be read, where that is known before it is opened.
    """

    path: Path
    name: str
    document_id: str
    is_alone: bool = False
    partitions: Mapping[str, JsonValue] = field(default_factory=dict)
    fault: str = ""

    @property
    def suffix(self) -> str:
        """The suffix that says how it is read."""
        return suffix_of(self.document_id)


class Found(NamedTuple):
    """A file or folder: its path below the source's folder, with ``/``, and why it is not read, where it is not."""

    relative: str
    why_not: str = ""
    kind: Kind = Kind.FILE_EXCLUDED


def find_files(
    settings: DocumentsSettings, *, base: Path, named: Mapping[Path, str], account: Account
) -> Iterator[SourceFile]:
    """The files that a source names, sorted.

    Args:
        settings: ``[documents]``.
        base: The folder that the source is relative to.
        named: Files and folders that the settings name for other things, as ``files_named`` has them.
        account: Told, while they are gone through, which files are left out.

    Raises:
        InputError: There is none, none of a format that is supported, or it is named for something else.
    """
    source, selection = settings.source, Selection.of(settings, named)
    path = base / source
    try:
        is_folder, is_file, is_there = path.is_dir(), path.is_file(), path.exists()
    except OSError as error:
        raise unreadable(error, name=source) from error
    if is_folder:
        return supported(_walked(path, path.resolve(), "", selection), folder=path, source=source, account=account)
    if is_file and suffix_of(path.name):
        if key := named.get(path.resolve()):
            message = f"{source} is both [documents].source and {key}."
            raise InputError(message, remedy="Name the collection as [documents].source.")
        return iter([SourceFile(path, source, path.name, is_alone=True)])
    if is_there:
        raise InputError(
            f"{source} is not a file of a format that can be read.", remedy=f"Use one of {SUPPORTED}, or a folder."
        )
    if glob.has_magic(source):
        parts = Path(source).parts
        first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        folder = base.joinpath(*parts[:first])
        found = _matched(folder, str(Path(*parts[first:])), selection)
        return supported(found, folder=folder, source=source, account=account)
    raise InputError(
        f"{source} does not exist (looked for {path}).",
        remedy="Correct [documents].source; it is relative to the settings file.",
    )


def supported(found: Iterable[Found], *, folder: Path, source: str, account: Account) -> Iterator[SourceFile]:
    """The files of a format that is read; of the others the account is told.

    Args:
        found: What was found, in order.
        folder: That it is below.
        source: What the user calls it.
        account: Told.

    Raises:
        InputError: There is none.
    """
    others: Counter[str] = Counter()
    is_empty = True
    for relative, why_not, kind in found:
        printable = os.fsencode(relative).decode("utf-8", "replace")
        if why_not:
            account.add("documents", kind, why_not, where=printable)
            others["left out" if kind is Kind.FILE_EXCLUDED else why_not] += 1
        elif suffix_of(relative):
            is_empty = False
            yield SourceFile(folder / relative, printable, relative, partitions=partitions_of(printable))
        else:
            other = Path(printable).suffix.lower() or WITHOUT_SUFFIX
            account.add("documents", Kind.FILE_NOT_READ, other, where=printable)
            others[other] += 1
    if is_empty:
        seen = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(5)) or "no file at all"
        raise InputError(f"{source} holds no file that can be read; found: {seen}.", remedy=f"Supported: {SUPPORTED}.")


def _walked(folder: Path, root: Path, prefix: str, selection: Selection) -> Iterator[Found]:
    """What is below a folder, hidden files aside; of a folder that is left out, it alone."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        if not prefix:
            raise unreadable(error, name=str(folder)) from error
        yield Found(prefix, UNREADABLE_FOLDER, Kind.FILE_NOT_READ)
        return
    shown = [entry for entry in entries if not entry.name.startswith(".")]
    beside = beside_corpus({entry.name for entry in shown})
    for entry in shown:
        relative = prefix + entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        resolved = Path(entry.path).resolve() if entry.is_symlink() else root / relative
        if why_not := selection.why_not(relative, resolved, is_folder=is_folder):
            yield Found(relative, why_not)
        elif entry.name in beside:
            yield Found(relative, BESIDE_CORPUS)
        elif is_folder:
            yield from _walked(folder / entry.name, root, f"{relative}/", selection)
        elif not resolved.is_relative_to(root) or entry.is_dir():
            yield Found(relative, LINKED, Kind.FILE_NOT_READ)
        elif entry.is_file():
            yield Found(relative)


def beside_corpus(names: set[str]) -> set[str]:
    """What of a folder in BEIR's layout is no part of the collection."""
    if not any(name.startswith("corpus.jsonl") for name in names):
        return set()
    return {name for name in names if name == "qrels" or name.startswith("queries.jsonl")}


def _matched(folder: Path, pattern: str, selection: Selection) -> Iterator[Found]:
    root = folder.resolve()
    unread: list[str] = []
    found = matching(folder, pattern, on_unreadable=unread.append)
    yield from (Found(f"{place}/", UNREADABLE_FOLDER, Kind.FILE_NOT_READ) for place in unread)
    for match in found:
        path, relative = folder / match, Path(match).as_posix()
        if not path.is_file():
            continue
        is_below_a_link = path.parent.resolve() != root / Path(match).parent
        resolved = path.resolve()
        if is_below_a_link or not resolved.is_relative_to(root):
            yield Found(relative, LINKED, Kind.FILE_NOT_READ)
        else:
            yield Found(relative, _left_out(relative, resolved, root, selection))


def _left_out(relative: str, resolved: Path, root: Path, selection: Selection) -> str:
    """Why a file that a glob found is left out, itself or a folder that it is in; empty where it is not."""
    parents = [parent for parent in Path(relative).parents if parent != Path()]
    for parent in reversed(parents):
        if why_not := selection.why_not(parent.as_posix(), root / parent, is_folder=True):
            return why_not
    return selection.why_not(relative, resolved, is_folder=False) or ""

"""What was got from a source, by key and version, so that a night asks for what has changed and no more.

One SQLite file says what is kept and what tonight's listing has; records lie in it, files beside it under the digest of
their key and version. What is kept is a copy: where it is gone or damaged, it is fetched again. It is written by the
workspace's one writer alone.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override

from nightrank.storage.closing import Closing
from nightrank.storage.errors import MachineError
from nightrank.storage.files.atomic import replacing
from nightrank.storage.foreign import placed
from nightrank.storage.keys import KEY_LENGTH, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from nightrank.storage.sources.source import Listed

FOLDER = "sources"  # of the workspace
INDEX = "index.sqlite"
NO_TEXT = "its key is no text"
_PLACE = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")  # a source's folder; whatever else lies there is not ours
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_CORRUPT_INDEX", "SQLITE_NOTADB")
_ROWS = 1_000  # of a listing that are written at once

# Keys come in the order of a walk through folders: a folder's files and folders by name, each folder where its name is.
_CREATE = """
CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, version TEXT, file TEXT, size INTEGER, record TEXT)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files ON kept (file) WHERE file IS NOT NULL;
CREATE TABLE IF NOT EXISTS listed (
    key TEXT PRIMARY KEY, place TEXT NOT NULL, version TEXT, modified REAL, is_wanted INTEGER NOT NULL,
    is_given INTEGER NOT NULL, reason TEXT
) WITHOUT ROWID;
"""
_LIST = "INSERT OR IGNORE INTO listed VALUES (?, ?, ?, ?, 1, ?, ?)"
_KEEP = "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)"
_LACKING = """
SELECT listed.key, listed.version, listed.modified, kept.file, kept.size FROM listed
LEFT JOIN kept ON kept.key = listed.key AND kept.version = listed.version
WHERE listed.is_wanted AND NOT listed.is_given AND listed.reason IS NULL AND listed.key > ?
ORDER BY listed.key LIMIT 1000
"""
_COUNT_MISSING = "SELECT count(*) FROM kept WHERE NOT EXISTS (SELECT 1 FROM listed WHERE listed.key = kept.key)"
_MISSING = """
SELECT key, version FROM (
    SELECT key, version, row_number() OVER (ORDER BY key) - 1 AS number FROM kept
    WHERE NOT EXISTS (SELECT 1 FROM listed WHERE listed.key = kept.key)
) WHERE number % ? = 0 ORDER BY key
"""
_WANTED = """
SELECT listed.key, kept.file, kept.record, listed.reason FROM listed LEFT JOIN kept ON kept.key = listed.key
WHERE listed.is_wanted ORDER BY listed.place, listed.key
"""
_KEY_AT = "SELECT key FROM listed WHERE is_wanted ORDER BY place, key LIMIT 1 OFFSET ?"
_FORGET_UNLISTED = """
DELETE FROM kept WHERE NOT EXISTS (SELECT 1 FROM listed WHERE listed.key = kept.key AND listed.is_wanted)
"""
_FILES = "SELECT file FROM kept WHERE file >= ? AND file < ?"  # of a folder: behind "/" comes "0"


@dataclass(frozen=True, slots=True)
class Keeping:
    """What may be kept of a source that is fetched, and how much of it is read.

    Attributes:
        folder: Where copies lie from one reading to the next; None where nothing is kept.
        workspace: Its name: what lies there is none of the source.
        retracted: Ids of documents of which nothing is kept, so that an erasure is one.
        sample: Read so many items, to know what the source holds; None for all.
    """

    folder: Path | None = None
    workspace: str | None = None
    retracted: Collection[str] = ()
    sample: int | None = None


KEEPING_NOTHING = Keeping()


class Content(NamedTuple):
    """An item of tonight's listing, as it is kept.

    Attributes:
        key: Its key.
        path: Of a file.
        record: Of a record, its fields as they were stored.
        reason: Why it cannot be read, where it cannot.
    """

    key: str
    path: Path | None
    record: dict[str, Any] | None
    reason: str | None


class Brought(NamedTuple):
    """Content that has come in and is not told to the index yet: a file's name and size, or a record's JSON."""

    key: str
    version: str | None
    file: str | None
    size: int | None
    record: str | None


class Kept(Closing):
    """What is kept of one source; a context manager.

    Args:
        folder: Where; made where it is missing.
        plain: What JSON can say of a record's fields, which is what is kept of it.
    """

    def __init__(self, folder: Path, *, plain: Callable[[Mapping[str, object]], dict[str, Any]] = dict) -> None:
        self.folder = folder
        self._plain = plain
        with placed(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._index = self._opened()

    @override
    def close(self) -> None:
        self._index.close()

    @contextmanager
    def removed_if_damaged(self) -> Iterator[None]:
        """Have an index that turns out to be damaged removed, so that the next night makes it again.

        Raises:
            MachineError: It was.
        """
        try:
            yield
        except (sqlite3.DatabaseError, MachineError) as error:
            cause = error.__cause__ if isinstance(error, MachineError) else error
            if getattr(cause, "sqlite_errorname", "") not in _DAMAGED:
                raise
            self.close()
            (self.folder / INDEX).unlink(missing_ok=True)
            raise MachineError(
                f"{self.folder / INDEX}, which says what is kept of the source, was damaged and has been removed.",
                remedy="Run again: the source is fetched anew.",
            ) from error

    def take_listing(self, items: Iterable[Listed]) -> int:
        """Take a listing in place of the one before; where it raises, that one stays.

        Returns:
            How many items it has more than once.
        """
        given = 0
        rows: list[tuple[str, str, str | None, float | None, bool, str | None]] = []
        with placed(self.folder), self._index:
            self._index.execute("DELETE FROM listed")
            for item in items:
                given += 1
                key, version = storable(item.key), _storable_version(item.version)
                is_given, reason = item.content is not None, None if key == item.key else NO_TEXT
                if item.content is not None and reason is None:
                    try:
                        self._index.execute(_KEEP, self.of_record(key, version, item.content))
                    except ValueError as error:
                        reason = str(error)
                rows.append((key, key.replace("/", "\x01"), version, item.modified, is_given, reason))
                if len(rows) == _ROWS:
                    self._index.executemany(_LIST, rows)
                    rows.clear()
            self._index.executemany(_LIST, rows)
            ((different,),) = self._index.execute("SELECT count(*) FROM listed").fetchall()
        return given - int(different)

    def keys(self) -> Iterator[str]:
        """The keys that are listed, in the order of a walk through folders."""
        yield from (key for (key,) in self._index.execute("SELECT key FROM listed ORDER BY place, key"))

    def want_only(self, keys: Iterable[str]) -> None:
        """Have no others fetched, and none of them read, than these of the listing."""
        with placed(self.folder), self._index:
            self._index.execute("CREATE TEMP TABLE IF NOT EXISTS chosen (key TEXT PRIMARY KEY) WITHOUT ROWID")
            self._index.execute("DELETE FROM temp.chosen")
            self._index.executemany("INSERT OR IGNORE INTO temp.chosen VALUES (?)", ((key,) for key in keys))
            self._index.execute("UPDATE listed SET is_wanted = key IN (SELECT key FROM temp.chosen)")

    def lacking(self) -> Iterator[tuple[str, str | None, float | None]]:
        """Key, version and time of what is wanted and is not kept as it is listed."""
        last = ""
        while rows := self._index.execute(_LACKING, [last]).fetchall():
            for key, version, modified, file, size in rows:
                if version is None or size is None or not self._is_whole(file, size):
                    yield key, version, modified
            last = rows[-1][0]

    def missing(self, *, most: int) -> list[tuple[str, str | None]]:
        """Key and version of what is kept and not listed; of more than so many some, from all over."""
        ((count,),) = self._index.execute(_COUNT_MISSING).fetchall()
        return self._index.execute(_MISSING, [max(1, -(-count // most))]).fetchall()

    def keep(self, brought: Sequence[Brought]) -> None:
        """Keep content that was fetched; its version is the listed one from now on."""
        with placed(self.folder), self._index:
            for one in brought:
                self._index.execute(_KEEP, one)
                self._index.execute("UPDATE listed SET version = ? WHERE key = ?", [one.version, one.key])

    def cannot_read(self, keys: Iterable[tuple[str, str]]) -> None:
        """Have items read as bad rows, for a reason."""
        keys = list(keys)
        if not keys:
            return
        with placed(self.folder), self._index:
            self._index.executemany("UPDATE listed SET reason = ? WHERE key = ?", ((why, key) for key, why in keys))

    def is_listed(self, key: str) -> bool:
        """Whether an item is in the listing."""
        return bool(self._index.execute("SELECT 1 FROM listed WHERE key = ?", [key]).fetchall())

    def newest(self) -> float | None:
        """When the newest item that is read was modified, in seconds since the epoch; None where nothing tells."""
        found: list[tuple[float | None]] = self._index.execute(
            "SELECT max(modified) FROM listed WHERE is_wanted"
        ).fetchall()
        return found[0][0]

    def contents(self) -> Iterator[Content]:
        """Every wanted item of the listing, in the order of a walk through folders."""
        for key, file, record, reason in self._index.execute(_WANTED):
            path = None if file is None else self.folder / file
            yield Content(key, path, None if record is None else json.loads(record), reason)

    def keys_at(self, numbers: Iterable[int]) -> list[str]:
        """The keys of what ``contents`` gives at these places, counted from 1."""
        return [key for number in numbers for (key,) in self._index.execute(_KEY_AT, [number - 1]).fetchall()]

    def forget(self, keys: Iterable[str]) -> None:
        """Keep nothing of these items: what is taken down, for one, is not to stay here."""
        for key in keys:
            files = self._index.execute("SELECT file FROM kept WHERE key = ?", [key]).fetchall()
            with placed(self.folder), self._index:
                self._index.execute("DELETE FROM kept WHERE key = ?", [key])
            self._remove(file for (file,) in files if file is not None)

    def forget_unlisted(self) -> None:
        """Remove what the listing does not have, and what was left by nights that were killed."""
        with placed(self.folder):
            with self._index:
                self._index.execute(_FORGET_UNLISTED)
            for below in self.folder.iterdir():
                if below.is_dir():
                    files = {file for (file,) in self._index.execute(_FILES, [f"{below.name}/", f"{below.name}0"])}
                    self._remove({f"{below.name}/{path.name}" for path in below.iterdir()} - files)

    # What threads call: they write files and tell of them.

    def of_record(self, key: str, version: str | None, record: Mapping[str, object]) -> Brought:
        """A record that is to be kept."""
        text = json.dumps(self._plain(record), ensure_ascii=False)
        return Brought(key, _storable_version(version), None, len(text), text)

    def of_pieces(self, key: str, version: str | None, pieces: Iterable[bytes], *, suffix: str) -> Brought:
        """Write a file, which is there as a whole or not at all.

        Args:
            key: Its key.
            version: Of the content.
            pieces: The content.
            suffix: By which its reader is found.
        """
        name = digest(key, "" if version is None else version)
        file = f"{name[:2]}/{name}{suffix}"
        path = self.folder / file
        size = 0
        with placed(self.folder):
            path.parent.mkdir(exist_ok=True)
            with replacing(path) as temporary, temporary.open("wb") as opened:
                for piece in pieces:
                    size += opened.write(piece)
        return Brought(key, _storable_version(version), file, size, None)

    def _is_whole(self, file: str | None, size: int) -> bool:
        if file is None:
            return True
        try:
            return (self.folder / file).stat().st_size == size
        except FileNotFoundError:
            return False

    def _remove(self, files: Iterable[str]) -> None:
        for file in files:
            with suppress(FileNotFoundError):
                (self.folder / file).unlink()

    def _opened(self) -> sqlite3.Connection:
        path = self.folder / INDEX
        try:
            return _index_of(path)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname not in _DAMAGED:
                raise MachineError(
                    f"{path} cannot be opened: {error}.", remedy="See that its folder can be written, then run again."
                ) from error
            path.unlink()  # everything in it can be had again
            return _index_of(path)


def storable(text: str) -> str:
    r"""A text in which bytes that are no characters are written out: SQLite takes no others.

    >>> storable("a\udcff")
    'a\\udcff'
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _storable_version(version: str | None) -> str | None:
    return None if version is None else storable(version)


def kept_places(folder: Path) -> Iterator[Path]:
    """The folders of sources of which something is kept.

    Args:
        folder: Where copies lie; it need not be there, and a user may have folders of the same name with other things.
    """
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if _PLACE.fullmatch(path.name) and path.is_dir())


def forget_places(folder: Path, *, but: str | None = None) -> None:
    """Remove what is kept of sources.

    Args:
        folder: Where copies lie.
        but: The name of the place that stays; None for none.
    """
    for place in list(kept_places(folder)):
        if place.name != but:
            shutil.rmtree(place, ignore_errors=True)


def lend_kept(kept: Path, to: Path) -> None:
    """Let a reading that may write nothing to a workspace use what is kept there: by links, and a copy of the index.

    Args:
        kept: Where copies lie; it need not be there, and somebody may be writing to it. What is damaged is not lent.
        to: A folder of the reading's own.
    """
    for folder in kept_places(kept):
        if not (folder / INDEX).is_file():
            continue
        place = to / folder.name
        place.mkdir(parents=True)
        try:
            with closing(sqlite3.connect(folder / INDEX)) as index, closing(sqlite3.connect(place / INDEX)) as copy:
                index.backup(copy)
        except sqlite3.DatabaseError:
            shutil.rmtree(place)
            continue
        for below in folder.iterdir():
            if below.is_dir():
                (place / below.name).mkdir()
                for path in below.iterdir():
                    (place / below.name / path.name).symlink_to(path.resolve())


def _index_of(path: Path) -> sqlite3.Connection:
    index = sqlite3.connect(path, isolation_level="DEFERRED")
    try:
        index.execute("PRAGMA secure_delete = ON")  # what is forgotten is not left in free pages
        index.executescript(_CREATE)
    except sqlite3.DatabaseError:
        index.close()
        raise
    return index

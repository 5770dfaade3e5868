"""Where LanceDB's tables are: a folder, or a prefix in an object store, which LanceDB reads and writes by itself."""

from __future__ import annotations

import re
import shutil
import tempfile
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from nightrank.storage.errors import MachineError
from nightrank.storage.files.atomic import remove_folder
from nightrank.storage.files.listing import entries, files_below
from nightrank.storage.files.own import remove_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from nightrank.storage.bucket.store import Remote

FOLDER = "lance"  # in a workspace
SUFFIX = ".lance"  # of a table's folder
_REMOVED = ".removed-"
# Of other characters LanceDB makes percent-encoded ones for some of its files, and folders of such names.
_TAKEN_AS_IT_IS = re.compile(r"[A-Za-z0-9 ._/=+,@-]*")


class LancePlace(ABC):
    """A place of tables.

    Attributes:
        ends_with_its_writer: Whether nothing that a former writer began can still come in, so that files which no
            version names are dead; LanceDB keeps them for a week otherwise.
    """

    ends_with_its_writer: ClassVar[bool]

    @abstractmethod
    def is_there(self) -> bool:
        """Whether it has been made; LanceDB would make it."""

    @abstractmethod
    def connect(self) -> Any:  # noqa: ANN401 (lancedb ships no types)
        """LanceDB's connection to it."""

    @abstractmethod
    def table_names(self) -> list[str]:
        """The names of all tables."""

    @abstractmethod
    def table_bytes(self, name: str) -> int:
        """What the files of a table take, all its versions together."""

    @abstractmethod
    def remove_table(self, name: str) -> None:
        """Remove a table with all its versions, as a whole where that can be. No reader may be about."""

    @abstractmethod
    def remove_leftovers(self) -> None:
        """Remove what killed processes left."""

    @abstractmethod
    def check_writer(self) -> None:
        """See that this process may still write, where that can be lost.

        Raises:
            MachineError: It may not.
        """


class LanceFolder(LancePlace):
    """A folder.

    Args:
        path: It need not exist yet.
    """

    ends_with_its_writer = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LanceFolder) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @override
    def is_there(self) -> bool:
        return self.path.is_dir()

    @override
    def connect(self) -> Any:
        import lancedb

        path = self.path.absolute()
        if _TAKEN_AS_IT_IS.fullmatch(str(path)):
            return lancedb.connect(str(path))
        folder = tempfile.mkdtemp(prefix="nightrank-lance-")
        if not _TAKEN_AS_IT_IS.fullmatch(folder):
            shutil.rmtree(folder)
            message = f"LanceDB can use neither {path} nor the folder for temporary files as they are named."
            raise MachineError(message, remedy="Set TMPDIR to a folder whose name has plain letters alone.")
        path.mkdir(parents=True, exist_ok=True)
        link = Path(folder) / FOLDER
        link.symlink_to(path, target_is_directory=True)
        connection = lancedb.connect(str(link))
        remove_with(connection, Path(folder))  # its tables hold the connection
        return connection

    @override
    def table_names(self) -> list[str]:
        return [path.name.removesuffix(SUFFIX) for path in entries(self.path, f"[!.]*{SUFFIX}")]

    @override
    def table_bytes(self, name: str) -> int:
        return sum(path.stat().st_size for path in files_below(self.table_folder(name)))

    @override
    def remove_table(self, name: str) -> None:
        remove_folder(self.table_folder(name), self.path / f"{_REMOVED}{name}")

    @override
    def remove_leftovers(self) -> None:
        """Halves of removed tables, and files that were still being written."""
        for hidden in entries(self.path, f"{_REMOVED}*"):
            shutil.rmtree(hidden)
        for table in entries(self.path, f"*{SUFFIX}"):
            for unfinished in entries(table / "data", ".tmp*"):  # LanceDB leaves these for ever
                unfinished.unlink()

    @override
    def check_writer(self) -> None:
        """A folder's lock ends with its process alone."""

    def table_folder(self, name: str) -> Path:
        """Where a table's files lie."""
        return self.path / f"{name}{SUFFIX}"


class LanceBucket(LancePlace):
    """A prefix in an object store. LanceDB's commits are conditional writes there, so no two of them meet.

    Args:
        remote: The workspace's.
        check_writer: Raises where this process was its writer and may not write there any more.
    """

    ends_with_its_writer = False

    def __init__(self, remote: Remote, *, check_writer: Callable[[], None]) -> None:
        self._remote, self._check_writer = remote, check_writer

    def __str__(self) -> str:
        return f"{self._remote.url}/{FOLDER}"

    def __reduce__(self) -> tuple[object, ...]:
        return partial(LanceBucket, check_writer=_refuse_writer), (self._remote,)  # another process only reads

    @override
    def is_there(self) -> bool:
        return True

    @override
    def connect(self) -> Any:
        import lancedb

        return lancedb.connect(str(self), storage_options=self._remote.lance_options())

    @override
    def table_names(self) -> list[str]:
        return sorted(self.connect().list_tables().tables)

    @override
    def table_bytes(self, name: str) -> int:
        return sum(self._remote.sizes(f"{FOLDER}/{name}{SUFFIX}").values())

    @override
    def remove_table(self, name: str) -> None:
        self.check_writer()
        self.connect().drop_table(name)

    @override
    def remove_leftovers(self) -> None:
        """Half-made objects are never seen there; the store's own rules remove uploads that were broken off."""

    @override
    def check_writer(self) -> None:
        self._check_writer()


def _refuse_writer() -> None:
    message = "This process computes for a run of another one, which alone may write."
    raise MachineError(message, remedy="Install the same version of Nightrank on all machines.")

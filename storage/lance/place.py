"""Where LanceDB's tables are: a folder, or a prefix in an object store, which LanceDB reads and writes by itself."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from nightrank.storage.files.atomic import remove_folder

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.workspace.bucket import Origin

FOLDER = "lance"  # in a workspace
SUFFIX = ".lance"  # of a table's folder
_REMOVED = ".removed-"


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
        """Remove a table with all its versions. No reader may be about."""

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

    def is_there(self) -> bool:
        """As in every place."""
        return self.path.is_dir()

    def connect(self) -> Any:  # noqa: ANN401
        """As in every place."""
        import lancedb

        return lancedb.connect(str(self.path))

    def table_names(self) -> list[str]:
        """As in every place."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self.path.glob(f"[!.]*{SUFFIX}"))

    def table_bytes(self, name: str) -> int:
        """As in every place."""
        return sum(path.stat().st_size for path in self.table_folder(name).rglob("*") if path.is_file())

    def remove_table(self, name: str) -> None:
        """As in every place; it is whole or gone."""
        hidden = self.path / f"{_REMOVED}{name}"
        remove_folder(self.table_folder(name), hidden)

    def remove_leftovers(self) -> None:
        """Halves of removed tables, and files that were still being written."""
        for hidden in self.path.glob(f"{_REMOVED}*"):
            shutil.rmtree(hidden)
        for unfinished in self.path.glob(f"*{SUFFIX}/data/.tmp*"):  # LanceDB leaves these for ever
            unfinished.unlink()

    def check_writer(self) -> None:
        """A folder's lock ends with its process alone."""

    def table_folder(self, name: str) -> Path:
        """Where a table's files lie."""
        return self.path / f"{name}{SUFFIX}"


class LanceBucket(LancePlace):
    """A prefix in an object store. LanceDB's commits are conditional writes there, so no two of them meet.

    Args:
        origin: The workspace's.
    """

    ends_with_its_writer = False

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def __str__(self) -> str:
        return f"{self._origin.remote.url}/{FOLDER}"

    def is_there(self) -> bool:
        """As in every place."""
        return True

    def connect(self) -> Any:  # noqa: ANN401
        """As in every place."""
        import lancedb

        return lancedb.connect(str(self), storage_options=self._origin.remote.lance_options())

    def table_names(self) -> list[str]:
        """As in every place."""
        return sorted(self.connect().list_tables().tables)

    def table_bytes(self, name: str) -> int:
        """As in every place."""
        return self._origin.size_bytes(f"{FOLDER}/{name}{SUFFIX}")

    def remove_table(self, name: str) -> None:
        """As in every place."""
        self.check_writer()
        self.connect().drop_table(name)

    def remove_leftovers(self) -> None:
        """Half-made objects are never seen there; the store's own rules remove uploads that were broken off."""

    def check_writer(self) -> None:
        """As in every place."""
        self._origin.check_writer()

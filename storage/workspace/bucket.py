"""A workspace in object storage, and its local copy.

What is small (the pointer, manifests, promotions, the lease) is read from the store each time. What is large never
changes: files of releases, folders of models, parts of memos are brought here once, when they are asked for, and stay
until they are gone over there.

prefix/
  current.json                 the one mutable pointer, written under the condition that nobody else has
  lock.json                    the writer's lease; see nightrank.storage.bucket.lease
  retracted.json               what was taken down, written under the same condition; retracted.json.lock its lease
retracted/<name>.sqlite      what is answered instead; see nightrank.storage.retracted.listed
readers/<id>.json            who reads LanceDB's tables; each with a time at which it ends
  lance/                       LanceDB's own
  memo/<memo>/<part>.parquet   see nightrank.storage.memo.parts
  releases/<release_id>/       the files of a release, its manifest last
  models/<name>/               the files of a trained model, its card last
  models/promoted.json
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import uuid
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from typing_extensions import override

from nightrank.storage.bucket.lease import Lease, record_of
from nightrank.storage.bucket.shards import FolderInBucket
from nightrank.storage.errors import InputError, MachineError, NightrankError
from nightrank.storage.files.atomic import publish_folder, remove_folder, write_bytes
from nightrank.storage.files.listing import entries, files_below
from nightrank.storage.keys import sha256_of_file
from nightrank.storage.lance.place import LanceBucket
from nightrank.storage.places import read_bytes
from nightrank.storage.workspace.base import ANSWERS, MANIFEST, MODELS, POINTER, RELEASES, Workspace, is_release_id
from nightrank.storage.workspace.locks import abandoned_by, waiting_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from nightrank.storage.bucket.store import Remote, Version
    from nightrank.storage.workspace.bucket_writer import Writer
    from nightrank.storage.workspace.locks import Abandoned

READERS = "readers"


class BucketWorkspace(Workspace):
    """A workspace in object storage, with a local copy.

    Args:
        remote: The workspace in the object store.
        root: The local folder.
        clock: Seconds since the epoch.
    """

    def __init__(self, remote: Remote, root: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.remote, self.root = remote, root
        self._clock = clock
        self._writer: Writer | None = None
        self._brought: set[tuple[str, str]] = set()

    def __reduce__(self) -> tuple[object, ...]:
        return BucketWorkspace, (self.remote, self.root)

    @override
    def __str__(self) -> str:
        return self.remote.url

    @property
    @override
    def lance(self) -> LanceBucket:
        return LanceBucket(self.remote, check_writer=self._check_writer)

    @override
    def shared_folder(self, path: Path) -> FolderInBucket:
        return FolderInBucket(self.remote, path.relative_to(self.root).as_posix())

    # What is small.

    @override
    def read(self, name: str) -> bytes | None:
        found = self.remote.read(name)
        return None if found is None else found[0]

    @override
    def change(self, name: str) -> ObjectToChange:
        return ObjectToChange(self.remote, name, *(self.remote.read(name) or (None, None)))

    @override
    def _replace_pointer(self, text: str) -> None:
        writer = self._require_writer()
        writer.lease.renew()
        seen = self.remote.write_if(POINTER, text.encode(), seen=writer.pointer)
        if seen is None:
            message = f"Another process has published to {self} meanwhile; its release stays current."
            raise MachineError(message, remedy="Run again: it builds upon what was published.")
        writer.pointer = seen

    @override
    def bring(self, name: str, *, sha256: str) -> Path | None:
        path = self.root / name
        if path.is_file() and sha256_of_file(path) == sha256:
            return path
        return path if self.remote.download(name, path, sha256=sha256) else None

    @override
    def share(self, name: str) -> None:
        self.remote.upload(self.root / name, name)

    @override
    def files_in(self, folder: str) -> list[str]:
        return sorted(key.removeprefix(f"{folder}/") for key in self.remote.sizes(folder))

    @override
    def remove_files(self, names: Collection[str]) -> None:
        self.remote.delete(names)
        for name in names:
            (self.root / name).unlink(missing_ok=True)

    @override
    def every_file(self) -> Iterator[tuple[str, Path]]:
        with tempfile.TemporaryDirectory(prefix="nightrank-search-") as folder:
            for key in self.remote.sizes():
                path = Path(folder, uuid.uuid4().hex).with_suffix(PurePosixPath(key).suffix)
                if self.remote.download(key, path):
                    yield key, path
                    path.unlink()
        for path in sorted(self.root.rglob("*")):
            if path.is_file():
                yield path.relative_to(self.root).as_posix(), path

    @override
    @contextmanager
    def holding(self, name: str, *, what: str, now: datetime) -> Iterator[None]:
        from nightrank.storage.workspace.bucket_writer import owner_of  # a look-up loads no DuckDB

        def lease() -> Lease:
            return Lease(
                self.remote,
                f"{name}.lock",
                what=f"{what} of {self}",
                owner=owner_of(self.root),
                since=now.isoformat(timespec="seconds"),
                clock=self._clock,
            )

        with self._holding_here(name, what=what, now=now), waiting_for(lease):
            yield

    # Releases.

    @override
    def release(self, release_id: str, only: Collection[str] | None = None) -> Path:
        if is_release_id(release_id):
            self._bring_release(release_id, only)
        return self.releases / release_id

    @override
    def release_ids(self) -> list[str]:
        ends = f"/{MANIFEST}"
        keys = self.remote.sizes(RELEASES)
        names = sorted(key.split("/")[1] for key in keys if key.endswith(ends) and key.count("/") == 2)
        return [name for name in names if is_release_id(name)]

    @override
    def holds(self, release_id: str, names: Collection[str]) -> bool:
        return {f"{RELEASES}/{release_id}/{name}" for name in names} <= self.remote.sizes(_folder_of(release_id)).keys()

    @override
    def link(self, release_id: str) -> str:
        return f"{self}/{_folder_of(release_id)}"

    def _bring_release(self, release_id: str, only: Collection[str] | None) -> None:
        """Have files of a release here, each as the manifest says; what is missing or damaged there is missing here.

        Args:
            release_id: Of the release.
            only: Names of files; None for all.
        """
        if (release_id, "") in self._brought or all((release_id, name) in self._brought for name in only or [""]):
            return
        manifest = self.read(f"{_folder_of(release_id)}/{MANIFEST}")
        if manifest is None:
            return
        folder = self.releases / release_id
        for name, sha256 in _files_of(manifest, release_id).items():
            if (only is None or name in only) and not (folder / name).is_file():
                self.remote.download(f"{_folder_of(release_id)}/{name}", folder / name, sha256=sha256)
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / MANIFEST, manifest)
        self._brought |= {(release_id, name) for name in (only or [""])}

    @override
    def adopt(self, release_id: str, staging: Path) -> Path:
        self._put_release(release_id, staging)
        target = self.releases / release_id
        shutil.rmtree(target, ignore_errors=True)  # a reader on this machine may have brought files of it already
        publish_folder(staging, target)
        return target

    def _put_release(self, release_id: str, folder: Path) -> None:
        """Upload a release, what it was made with first and its manifest last.

        Raises:
            MachineError: This writer has lost its lease, or there is a release of that id.
        """
        writer = self._require_writer()
        writer.stop_sharing()
        writer.memos.share()
        names = [path.relative_to(folder).as_posix() for path in sorted(files_below(folder))]
        for name in names:
            if name != MANIFEST:
                writer.lease.check()
                self.remote.upload(folder / name, f"{_folder_of(release_id)}/{name}")
        writer.lease.renew()
        key = f"{_folder_of(release_id)}/{MANIFEST}"
        if self.remote.write_if(key, read_bytes(folder / MANIFEST), seen=None) is None:
            message = f"There is a release {release_id} in {self} already."
            raise MachineError(message, remedy="Run again.")
        self._brought.add((release_id, ""))

    @override
    def remove_release(self, release_id: str) -> None:
        self._require_writer().lease.check()
        self.remote.delete([f"{_folder_of(release_id)}/{MANIFEST}"])  # without it there is no release
        self.remote.delete(self.remote.sizes(_folder_of(release_id)))
        with suppress(FileNotFoundError):  # it need not be here
            remove_folder(self.releases / release_id, self.staging(release_id))

    @override
    def forget_removed(self) -> None:
        there = set(self.release_ids())
        for folder in entries(self.releases, "[!.]*"):
            if folder.name not in there:
                shutil.rmtree(folder, ignore_errors=True)
        copies = {path.name for path in (self.root / ANSWERS).glob("[!.]*")}
        for name in copies.difference(self.files_in(ANSWERS) if copies else ()):
            (self.root / ANSWERS / name).unlink(missing_ok=True)

    @override
    def size_bytes(self, path: Path) -> int:
        key = "" if path == self.root else path.relative_to(self.root).as_posix().removesuffix(".duckdb")
        return sum(self.remote.sizes(key).values())

    # Trained models.

    @override
    def model(self, name: str) -> Path:
        folder = self.models / name
        if not folder.is_dir() and _is_plain(name):
            self._bring_model(name, folder)
        return folder

    def _bring_model(self, name: str, folder: Path) -> None:
        """Have the folder of a trained model here, if it is there."""
        keys = self.remote.sizes(f"{MODELS}/{name}")
        if not keys:
            return
        temporary = folder.with_name(f".bringing-{name}-{uuid.uuid4().hex}")
        try:
            for key in keys:
                if not self.remote.download(key, temporary / key.removeprefix(f"{MODELS}/{name}/")):
                    return
            with suppress(OSError):  # another process has brought it meanwhile
                publish_folder(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    @override
    def share_model(self, name: str, *, last: str) -> None:
        folder = self.models / name
        files = sorted(files_below(folder), key=lambda path: path.name == last)
        for path in files:
            self.remote.upload(path, f"{MODELS}/{name}/{path.relative_to(folder).as_posix()}")

    @override
    def portable(self, name: str) -> str:
        here = f"{self.models}/"
        return f"{self}/{MODELS}/{name.removeprefix(here)}" if name.startswith(here) else name

    @override
    def here(self, name: str) -> str:
        there = f"{self}/{MODELS}/"
        return f"{self.models}/{name.removeprefix(there)}" if name.startswith(there) else name

    # Memos.

    @override
    def memo_to_read(self, path: Path, *, scratch: Path) -> Path:
        from nightrank.storage.memo.parts import SharedMemos  # a look-up loads no DuckDB

        SharedMemos(self.remote, scratch, check=lambda: None).bring(only=path.name)
        return scratch / path.name

    @override
    def hold_memos(self) -> None:
        writer = self._require_writer()
        writer.stop_sharing()
        writer.memos.share()

    @override
    def share_pruned_memos(self) -> None:
        self._require_writer().memos.put_in_order()

    # One writer, and readers.

    @override
    @contextmanager
    def writing(self, *, now: datetime, tidy: bool = True, run: str | None = None) -> Iterator[Abandoned | None]:
        from nightrank.storage.workspace.bucket_writer import writer_of  # a look-up loads no DuckDB

        with (
            self._writing_here(now=now, run=run) as abandoned,
            writer_of(self.remote, self.root, now=now, clock=self._clock, run=run) as writer,
        ):
            if tidy:
                self._remove_unsealed()
                self.forget_removed()
                self._remove_abandoned()
            self._writer = writer
            try:
                yield abandoned_by(writer.lease.left) or abandoned
            finally:
                self._writer = None

    def _remove_unsealed(self) -> None:
        """Remove what killed writers left in the store."""
        keys = self.remote.sizes(RELEASES)
        whole = {key.split("/")[1] for key in keys if key.endswith(f"/{MANIFEST}")}
        self.remote.delete(key for key in keys if key.split("/")[1] not in whole)

    def _check_writer(self) -> None:
        """See that this process is still the writer, where it was; others are asked nothing.

        Raises:
            MachineError: It has lost its lease.
        """
        if self._writer is not None:
            self._writer.lease.check()

    def _require_writer(self) -> Writer:
        assert self._writer is not None, "only while the workspace is held as its one writer"
        return self._writer

    @override
    @contextmanager
    def reading(self) -> Iterator[None]:
        key = f"{READERS}/{uuid.uuid4().hex}.json"
        with ExitStack() as stack:
            with suppress(InputError):  # where this user may not write there, it does without
                lease = Lease(self.remote, key, what=key, owner=key, since="", clock=self._clock)
                stack.callback(self._forget_reader, key)
                stack.enter_context(lease)
            yield

    @override
    @contextmanager
    def without_readers(self) -> Iterator[bool]:
        yield not self._has_readers()

    def _has_readers(self) -> bool:
        """Whether anybody is reading LanceDB's tables; readers that are gone are forgotten."""
        there = False
        for key in self.remote.sizes(READERS):
            found = self.read(key)
            if found is not None and record_of(found).get("expires", 0.0) > self._clock():
                there = True
            else:
                self.remote.delete([key])
        return there

    def _forget_reader(self, key: str) -> None:
        with suppress(NightrankError):  # its time ends by itself
            self.remote.delete([key])

    @override
    def make_readers_lock(self) -> None:
        """A reader makes an object of its own."""


class ObjectToChange:
    """A small object that was read to be changed; ``data`` is None where there was none."""

    def __init__(self, remote: Remote, key: str, data: bytes | None, seen: Version | None) -> None:
        self.data = data
        self._remote, self._key, self._seen = remote, key, seen

    def write(self, text: str) -> None:
        """Write it.

        Raises:
            MachineError: Somebody else has meanwhile.
        """
        if self._remote.write_if(self._key, text.encode(), seen=self._seen) is None:
            message = f"Somebody else has changed {self._key} in {self._remote.url} meanwhile."
            raise MachineError(message, remedy="Run again: it goes by what is there now.")


def _folder_of(release_id: str) -> str:
    return f"{RELEASES}/{release_id}"


def _files_of(manifest: bytes, release_id: str) -> dict[str, str]:
    """The files that a manifest names, with their SHA-256; what names a place outside the release is refused."""
    try:
        files = json.loads(manifest)["files"]
        for name in files:
            if not all(map(_is_plain, PurePosixPath(name).parts)):
                raise ValueError(name)
    except (ValueError, KeyError, TypeError) as error:
        message = f"The manifest of the release {release_id} does not say which files it has."
        raise MachineError(message, remedy="Roll back to another release by its id.") from error
    return {str(name): str(sha256) for name, sha256 in files.items()}


def _is_plain(name: str) -> bool:
    return name not in {"", ".", "..", "/"} and "/" not in name and "\\" not in name

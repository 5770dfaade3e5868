"""A workspace in object storage, as its local copy sees it.

What is small (the pointer, manifests, promotions, the lease) is read from the store each time. What is large never
changes: files of releases, folders of models, parts of memos are brought here once, when they are asked for, and stay
until they are gone over there.

prefix/
  current.json                 the one mutable pointer, written under the condition that nobody else has
  lock.json                    the writer's lease; see nightrank.storage.bucket.lease
  readers/<id>.json            who reads LanceDB's tables; each with a time at which it ends
  lance/                       LanceDB's own
  memo/<memo>/<part>.parquet   see nightrank.storage.memo.parts
  releases/<release_id>/       the files of a release, its manifest last
  models/<name>/               the files of a trained model, its card last
  models/promoted.json
"""

from __future__ import annotations

import json
import logging
import shutil
import socket
import time
import uuid
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from threading import Event, Thread
from typing import TYPE_CHECKING

from nightrank.storage.bucket.lease import Lease, record_of
from nightrank.storage.errors import InputError, MachineError, NightrankError, reason_of
from nightrank.storage.files.atomic import publish_folder, write_bytes, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from nightrank.storage.bucket.store import Remote, Version
    from nightrank.storage.memo.parts import SharedMemos

POINTER = "current.json"
LEASE = "lock.json"
READERS = "readers"
RELEASES = "releases"
MODELS = "models"
MANIFEST = "manifest.json"

_LOG = logging.getLogger(__name__)

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # of Linux

SHARE_SECONDS = 120.0  # between two uploads of what a run has added to memos: what is lost with its machine at most


class Origin:
    """What a local folder is a copy of.

    Args:
        remote: The workspace in the object store.
        root: The local folder.
        clock: Seconds since the epoch.
    """

    def __init__(self, remote: Remote, root: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.remote, self.root = remote, root
        self._clock = clock
        self._writer: _Writer | None = None
        self._brought: set[tuple[str, str]] = set()

    def __reduce__(self) -> tuple[object, ...]:
        return Origin, (self.remote, self.root)

    # What is small.

    def read(self, key: str) -> bytes | None:
        """A small object as it is now; None where there is none."""
        found = self.remote.read(key)
        return None if found is None else found[0]

    def point_at(self, pointer: str) -> None:
        """Replace the pointer, if nobody has since this writer began.

        Raises:
            MachineError: Somebody has, or this writer has lost its lease.
        """
        writer = self._require_writer()
        writer.lease.renew()
        seen = self.remote.write_if(POINTER, pointer.encode(), seen=writer.pointer)
        if seen is None:
            message = f"Another run has published to {self.remote.url} meanwhile; its release stays current."
            raise MachineError(message, remedy="Run again: it builds upon what was published.")
        writer.pointer = seen

    def read_to_change(self, key: str) -> SmallObject:
        """A small object as it is now, to be written where nobody else does meanwhile."""
        return SmallObject(self.remote, key, *(self.remote.read(key) or (None, None)))

    # Releases.

    def release_ids(self) -> list[str]:
        """The ids of all releases that have a manifest, sorted."""
        ends = f"/{MANIFEST}"
        keys = self.remote.sizes(RELEASES)
        return sorted(key.split("/")[1] for key in keys if key.endswith(ends) and key.count("/") == 2)

    def holds(self, release_id: str, names: Collection[str]) -> bool:
        """Whether all these files of a release are there."""
        return {f"{RELEASES}/{release_id}/{name}" for name in names} <= self.remote.sizes(_folder_of(release_id)).keys()

    def bring_release(self, release_id: str, only: Collection[str] | None) -> None:
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
        folder = self.root / RELEASES / release_id
        for name, sha256 in _files_of(manifest, release_id).items():
            if (only is None or name in only) and not (folder / name).is_file():
                self.remote.download(f"{_folder_of(release_id)}/{name}", folder / name, sha256=sha256)
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / MANIFEST, manifest)
        self._brought |= {(release_id, name) for name in (only or [""])}

    def put_release(self, release_id: str, folder: Path) -> None:
        """Upload a release, what it was made with first and its manifest last.

        Raises:
            MachineError: This writer has lost its lease, or there is a release of that id.
        """
        writer = self._require_writer()
        writer.stop_sharing()
        writer.memos.share()
        names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
        for name in names:
            if name != MANIFEST:
                writer.lease.check()
                self.remote.upload(folder / name, f"{_folder_of(release_id)}/{name}")
        writer.lease.renew()
        key = f"{_folder_of(release_id)}/{MANIFEST}"
        if self.remote.write_if(key, (folder / MANIFEST).read_bytes(), seen=None) is None:
            message = f"There is a release {release_id} in {self.remote.url} already."
            raise MachineError(message, remedy="Run again.")
        self._brought.add((release_id, ""))

    def remove_release(self, release_id: str) -> None:
        """Remove a release: without its manifest it is none, so that goes first."""
        self._require_writer().lease.check()
        self.remote.delete([f"{_folder_of(release_id)}/{MANIFEST}"])
        self.remote.delete(self.remote.sizes(_folder_of(release_id)))

    # Trained models.

    def bring_model(self, name: str) -> None:
        """Have the folder of a trained model here, if it is there and not here."""
        folder = self.root / MODELS / name
        if folder.is_dir() or not _is_plain(name):
            return
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

    def put_model(self, name: str, *, last: str) -> None:
        """Upload the folder of a trained model, the file that tells of it last: without that it is none."""
        folder = self.root / MODELS / name
        files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.name == last)
        for path in files:
            self.remote.upload(path, f"{MODELS}/{name}/{path.relative_to(folder).as_posix()}")

    # One writer, and readers.

    @contextmanager
    def writing(self, *, since: datetime, tidy: bool) -> Iterator[None]:
        """Be the one writer; local memos hold what is known when it begins, and what is new is uploaded as it ends.

        Args:
            since: When it begins.
            tidy: Remove what killed writers left, and what is here and was removed there.

        Raises:
            WorkspaceBusy: Another writer is at work.
        """
        from nightrank.storage.memo.parts import SharedMemos

        self.root.mkdir(parents=True, exist_ok=True)
        what = f"the workspace {self.remote.url}"
        lease = Lease(
            self.remote,
            LEASE,
            what=what,
            owner=self._owner(),
            since=since.isoformat(timespec="seconds"),
            clock=self._clock,
        )
        with lease:
            found = self.remote.read(POINTER)
            memos = SharedMemos(self.remote, self.root / "memo", check=lease.check)
            memos.bring()
            if tidy:
                self._tidy()
            writer = self._writer = _Writer(lease, memos, None if found is None else found[1])
            try:
                yield
            except BaseException:
                with suppress(Exception):  # what went wrong before is what people must be told
                    writer.end()
                raise
            else:
                writer.end()
            finally:
                self._writer = None

    def copy_memo(self, name: str, folder: Path) -> None:
        """Put a memo together, by the name of its file, in a folder of the reader's own."""
        from nightrank.storage.memo.parts import SharedMemos

        SharedMemos(self.remote, folder, check=lambda: None).bring(only=name)

    def pause_sharing(self) -> None:
        """Upload what memos hold and leave them alone from now on, until the writer ends: they may be written anew."""
        writer = self._require_writer()
        writer.stop_sharing()
        writer.memos.share()

    def put_memos_in_order(self) -> None:
        """What collecting has removed from memos goes from their parts as well."""
        self._require_writer().memos.put_in_order()

    def check_writer(self) -> None:
        """See that this process is still the writer, where it was; others are asked nothing.

        Raises:
            MachineError: It has lost its lease.
        """
        if self._writer is not None:
            self._writer.lease.check()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Be known to read LanceDB's tables; where this user may not write there, do without."""
        key = f"{READERS}/{uuid.uuid4().hex}.json"
        with ExitStack() as stack:
            with suppress(InputError):
                lease = Lease(self.remote, key, what=key, owner=key, since="", clock=self._clock)
                stack.callback(self._forget_reader, key)
                stack.enter_context(lease)
            yield

    def has_readers(self) -> bool:
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

    def size_bytes(self, key: str = "") -> int:
        """The bytes of all objects below a key."""
        return sum(self.remote.sizes(key).values())

    def forget_removed(self) -> None:
        """Remove the local files of releases that are no longer there."""
        there = set(self.release_ids())
        for folder in (self.root / RELEASES).glob("[!.]*"):
            if folder.name not in there:
                shutil.rmtree(folder, ignore_errors=True)

    def _tidy(self) -> None:
        keys = self.remote.sizes(RELEASES)
        whole = {key.split("/")[1] for key in keys if key.endswith(f"/{MANIFEST}")}
        self.remote.delete(key for key in keys if key.split("/")[1] not in whole)
        self.forget_removed()

    def _require_writer(self) -> _Writer:
        assert self._writer is not None, "only while the workspace is held as its one writer"
        return self._writer

    def _owner(self) -> str:
        """Who this local copy is: the lock in its folder says that no two processes write through it at once.

        The machine and its start are in it, for folders are cloned, and disks moved.
        """
        path = self.root / ".copy-id"
        if not path.is_file():
            write_text(path, uuid.uuid4().hex)
        start = BOOT_ID.read_text().strip() if BOOT_ID.is_file() else ""
        return f"{path.read_text()} {socket.gethostname()} {start}".strip()


class _Writer:
    """What the one writer holds: its lease, the memos, the pointer that it saw when it began."""

    def __init__(self, lease: Lease, memos: SharedMemos, pointer: Version | None) -> None:
        self.lease, self.memos, self.pointer = lease, memos, pointer
        self._stopped = Event()
        self._thread = Thread(target=self._share_for_ever, name="memos", daemon=True)
        self._thread.start()

    def stop_sharing(self) -> None:
        """Have the thread that uploads now and then end."""
        self._stopped.set()
        self._thread.join()

    def end(self) -> None:
        """Upload what is new."""
        self.stop_sharing()
        self.memos.share()

    def _share_for_ever(self) -> None:
        while not self._stopped.wait(SHARE_SECONDS):
            try:
                self.memos.share()
            except Exception as error:  # another time; a thread has nobody to tell
                _LOG.warning("Memos were not uploaded: %s", reason_of(error))


class SmallObject:
    """A small object that was read to be changed; ``data`` is None where there was none."""

    def __init__(self, remote: Remote, key: str, data: bytes | None, seen: Version | None) -> None:
        self.data = data
        self._remote, self._key, self._seen = remote, key, seen

    def write(self, data: str) -> None:
        """Write it.

        Raises:
            MachineError: Somebody else has meanwhile.
        """
        if self._remote.write_if(self._key, data.encode(), seen=self._seen) is None:
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

"""An object store as Nightrank uses it: whole objects by key, and writes that fail where another writer was first.

Every call tells what went wrong in words: the bucket that is not there, the access that is denied, the store that
cannot be reached. Credentials come from the environment (``AWS_ACCESS_KEY_ID`` and its kin, the role of the machine),
as obstore and LanceDB both read them. Nothing of a workspace's layout is known here.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nightrank.storage.bucket.odd_keys import sizes_among_odd_keys
from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.files.atomic import replacing
from nightrank.storage.foreign import has_expired, is_about_credentials

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from obstore.store import ObjectStore

NO_BUCKET = "NoSuchBucket"  # in the answer of a store where the bucket, and not only the object, is missing

_PART_BYTES = 8 * 1024 * 1024  # of an upload or a download; an upload has at most some 10,000 parts
_MOST_PARTS = 9_000


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How an object store is reached; no secret is among them.

    Attributes:
        endpoint: The address of a store that is not the cloud's own, such as ``http://minio:9000``.
        region: Where the environment does not name it.
        allow_http: Whether the endpoint may be spoken to without TLS.
        retry_seconds: How long a request that fails for a passing reason is tried again.
        lease_seconds: How long a writer that has gone silent is waited for.
    """

    endpoint: str | None = None
    region: str | None = None
    allow_http: bool = False
    retry_seconds: float = 60.0
    lease_seconds: float = 60.0


DEFAULT_OPTIONS = StoreOptions()


@dataclass(frozen=True, slots=True)
class Version:
    """Which writing of an object was seen; another writing has another one."""

    e_tag: str | None
    version: str | None


@dataclass(frozen=True)  # no slots: the connection is made when it is first needed
class Remote:
    """A prefix of a bucket.

    Args:
        url: Its address, such as ``s3://bucket/prefix``.
        options: How it is reached.
        named: The setting that names it, for messages.
        section: Of the settings that say how it is reached, likewise.
    """

    url: str
    options: StoreOptions = DEFAULT_OPTIONS
    named: str = "`workspace`"
    section: str = "[storage]"

    def __reduce__(self) -> tuple[object, ...]:
        return Remote, (self.url, self.options, self.named, self.section)

    def read(self, key: str) -> tuple[bytes, Version] | None:
        """A small object; None where there is none."""
        import obstore

        with self.translating_errors(key):
            try:
                found = obstore.get(self.store, key)
                version = Version(found.meta["e_tag"], found.meta["version"])
                return bytes(found.bytes()), version
            except FileNotFoundError as error:
                if NO_BUCKET in str(error):
                    raise
                return None

    def write(self, key: str, data: bytes) -> None:
        """Write a small object, whatever is there."""
        import obstore

        with self.translating_errors(key):
            obstore.put(self.store, key, data, use_multipart=False)

    def write_if(self, key: str, data: bytes, *, seen: Version | None) -> Version | None:
        """Write a small object, unless another writer was first.

        Args:
            key: Its key.
            data: What to write: no two writers may ever write the same.
            seen: What is to be replaced; None where the object must not be there yet.

        Returns:
            What was written; None where another writer was first.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self.translating_errors(key):
            try:
                if seen is None:
                    put = obstore.put(self.store, key, data, mode="create", use_multipart=False)
                else:
                    tags = {"e_tag": seen.e_tag, "version": seen.version}
                    expected: Any = {name: tag for name, tag in tags.items() if tag is not None}
                    put = obstore.put(self.store, key, data, mode=expected, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                # A request that was tried again may have been answered for the first time: then what is there is ours.
                there = self.read(key)
                return there[1] if there is not None and there[0] == data else None
        return Version(put["e_tag"], put["version"])

    def require_conditions(self, key: str, *, replaced: Version | None) -> None:
        """See that this store keeps the conditions of writes: what has just been done once must not be done again.

        Args:
            key: Of an object that this writer has just written under a condition.
            replaced: What it replaced; None where there was none.

        Raises:
            InputError: The store writes although another writer was first.
        """
        for seen in (None,) if replaced is None else (None, replaced):
            if self.write_if(key, uuid.uuid4().hex.encode(), seen=seen) is not None:
                asked = "only where none is (If-None-Match)" if seen is None else "only over a given one (If-Match)"
                message = f"{self.url} does not keep conditional writes: asked to write {asked}, it wrote anyway."
                remedy = "Two runs could meet there. Use a store that keeps them, or a newer version of this one."
                raise InputError(message, remedy=remedy)

    def upload(self, path: Path, key: str) -> None:
        """Write a file as an object, in parts where it is large; it is there as a whole or not at all."""
        import obstore

        size = path.stat().st_size
        with self.translating_errors(key):
            obstore.put(self.store, key, path, chunk_size=max(_PART_BYTES, size // _MOST_PARTS))

    def download(self, key: str, path: Path, *, sha256: str | None = None) -> bool:
        """Bring an object here as a file, which appears when it is whole.

        Args:
            key: Of the object.
            path: The file; its folder is made where it is missing.
            sha256: What it must hash to, or None.

        Returns:
            Whether the object is there and what it must be; where it is not, no file appears.
        """
        import obstore

        path.parent.mkdir(parents=True, exist_ok=True)
        with self.translating_errors(key):
            try:
                parts = obstore.get(self.store, key).stream(min_chunk_size=_PART_BYTES)
            except FileNotFoundError as error:
                if NO_BUCKET in str(error):
                    raise
                return False
            state = hashlib.sha256()
            with suppress(_Damaged), replacing(path) as temporary:
                with temporary.open("wb") as file:
                    for part in parts:
                        state.update(part)
                        file.write(part)
                if sha256 not in {None, state.hexdigest()}:
                    raise _Damaged
                return True
            return False

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """The keys below a folder and their sizes in bytes, by key; what no key of ours can be is passed over."""
        import obstore
        from obstore.exceptions import InvalidPathError

        with self.translating_errors(prefix):
            try:
                listed = [entry for page in obstore.list(self.store, prefix or None) for entry in page]
            except InvalidPathError as error:
                return sizes_among_odd_keys(
                    self.url,
                    prefix,
                    endpoint=self.options.endpoint,
                    region=self.options.region,
                    fault=_first_line(error),
                )
            return dict(sorted((entry["path"], entry["size"]) for entry in listed))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects in this order; one that is not there is passed over."""
        import obstore

        for key in keys:
            with self.translating_errors(key):
                try:
                    obstore.delete(self.store, key)
                except FileNotFoundError as error:
                    if NO_BUCKET in str(error):
                        raise

    def lance_options(self) -> dict[str, str]:
        """What LanceDB must be told to reach the same store."""
        told = {**self._place(), "client_retry_timeout": f"{self.options.retry_seconds:.0f}"}
        return {**told, "allow_http": "true"} if self.options.allow_http else told

    def _place(self) -> dict[str, str]:
        """Where the store is; what the settings leave open the environment says."""
        place = {"endpoint": self.options.endpoint, "region": self.options.region}
        return {name: value for name, value in place.items() if value is not None}

    @cached_property
    def store(self) -> ObjectStore:
        """The client, made when it is first asked for."""
        from obstore.store import from_url

        options = self.options
        arguments: Any = {  # their types are those of one cloud or another
            "config": self._place(),
            "client_options": {
                # Where any option is given, obstore does not look for others in the environment.
                "allow_http": options.allow_http or os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true",
                "connect_timeout": "10s",
                "timeout": "120s",
            },
            "retry_config": {
                "max_retries": 100,
                "retry_timeout": timedelta(seconds=options.retry_seconds),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=10),
                    "base": 2,
                },
            },
        }
        store: ObjectStore = from_url(self.url, **arguments)
        return store

    @contextmanager
    def translating_errors(self, key: str) -> Iterator[None]:
        """Turn what the library raises about an object, or a listing, into our own errors."""
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise (self._expired(error) if has_expired(error) else self._denied(key, error)) from error
        except FileNotFoundError as error:
            if NO_BUCKET in str(error):
                raise self._no_bucket() from error
            message = f"{self.url} has no {key}."
            raise MachineError(message, remedy="It may have been pruned meanwhile: run again.") from error
        except BaseError as error:
            if NO_BUCKET in str(error):
                raise self._no_bucket() from error
            if _is_not_implemented(error):
                message = f"{self.url} does not know a request that Nightrank makes (501 Not Implemented): {key}."
                remedy = "Use a store that keeps S3's conditional writes, or a newer version of this one."
                raise InputError(message, remedy=remedy) from error
            if "AccessDenied" in str(error):  # as listings are refused
                raise self._denied(key, error) from error
            if is_about_credentials(error):
                raise self._expired(error) from error
            message = f"{self.url} cannot be reached: {_first_line(error)}."
            remedy = f"Check the network, and `endpoint` and `region` in {self.section}; then run again."
            raise MachineError(message, remedy=remedy) from error

    def _expired(self, error: Exception) -> MachineError:
        message = f"{self.url} takes these credentials no more: {_first_line(error)}."
        return MachineError(
            message, remedy="Renew them; then run the same command again: what was done so far is kept."
        )

    def _denied(self, key: str, error: Exception) -> InputError:
        message = f"{self.url}/{key} may not be read or written: {_first_line(error)}."
        return InputError(message, remedy="Check the credentials in the environment and what they allow.")

    def _no_bucket(self) -> InputError:
        return InputError(f"There is no bucket for {self.url}.", remedy=f"Create it, or correct {self.named}.")


class _Damaged(Exception):
    """An object is not what it must be."""


def _is_not_implemented(error: Exception) -> bool:
    """Whether the store said that it has no such request, with its code or its status."""
    return re.search(r"\bNotImplemented\b|\b501 Not Implemented\b", str(error)) is not None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip().rstrip(".")

"""Serving from Redis or Valkey.

A release is 256 hashes of its own, ``<name>:<space>:<first two digits of the key>``, whose fields are keys and whose
values are JSON documents. The string ``<name>:current`` says which space is live. It is replaced in one transaction,
which also gives the hashes of the release before a time to live, so that the server removes them by itself.
Hashes that are being written have one too: what a killed export leaves goes the same way.

256 hashes and not one, because the server removes what has expired in its own time, one value at a time, and answers
nobody meanwhile. It is no keyspace for a cluster: the transaction needs all of it on one server.

Readers in other languages: GET the pointer, HGET the field; within the grace both are of one release.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import redis
from redis import exceptions

from nightrank.storage.errors import InputError, MachineError, TargetUnreachable
from nightrank.storage.serving.export import counted
from nightrank.storage.serving.reader import KeyedReader, Served, StoredAnswer, read_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nightrank.storage.serving.address import Address
    from nightrank.storage.serving.entries import Entry, ReleaseToServe

BUCKETS = tuple(f"{number:02x}" for number in range(256))
STAGED_SECONDS = 3600  # to live, of what is being written; renewed while it is
BATCH_ENTRIES = 200
BATCH_CHARACTERS = 4_000_000
ATTEMPTS = 10  # of a look-up, while releases are replaced under it


class Live(NamedTuple):
    """The pointer: what is served, and the space in which its hashes are."""

    space: str
    served: Served

    def to_json(self) -> str:
        """As it is stored."""
        return json.dumps({"space": self.space, **self.served._asdict()})

    @classmethod
    def from_json(cls, stored: bytes, *, where: str) -> Live:
        """As it was stored.

        Raises:
            InputError: It is something else's.
        """
        try:
            value = json.loads(stored)
            served = Served(value["release_id"], value["queries"], value["aliases"], value.get("answers", ""))
            return cls(value["space"], served)
        except (ValueError, KeyError, TypeError) as error:
            message = f"{where} holds something that no export has written."
            raise InputError(message, remedy="Choose another name with --name or [export].name.") from error


class RedisTarget:
    """A key space of a server.

    Args:
        address: Of the server.
        name: What all keys begin with.
        grace_seconds: How long the hashes of the release before stay.
        token: That no other export has, so that a space is never used twice.
    """

    def __init__(self, address: Address, *, name: str, grace_seconds: int, token: str) -> None:
        self._address = address
        self._name = name
        self._grace_seconds = grace_seconds
        self._token = token

    def served(self) -> Served | None:
        """What the server serves; None where that is nothing, or where entries are missing."""
        with _translating_errors(self._address), _connected(self._address) as client:
            live = _live(client, self._name, self._address)
            if live is None:
                return None
            with client.pipeline(transaction=False) as pipe:
                for bucket in BUCKETS:
                    pipe.hlen(_bucket(self._name, live.space, bucket))
                entries = sum(pipe.execute())
        return live.served if entries == live.served.queries + live.served.aliases else None

    def replace(self, release: ReleaseToServe, *, on_entries: Callable[[int], None]) -> tuple[str, ...]:
        """Write a release into a space of its own, count it, and switch to it.

        Raises:
            InputError: The server does not let us in, or the name is something else's.
            TargetUnreachable: It does not answer; what is live stays live.
            MachineError: It has no room, or lost what was written; what is live stays live.
        """
        live = Live(f"{release.release_id}.{self._token}", release.served)
        with _translating_errors(self._address), _connected(self._address) as client:
            _live(client, self._name, self._address)
            staging = _Staging(client, self._name, live.space)
            try:
                staging.write(counted(release.entries(), on_entries), release.release_id)
                staging.require(release.served.queries + release.served.aliases, where=self._address.shown)
            except BaseException:
                with suppress(exceptions.RedisError):
                    staging.remove()
                raise
            # From here on nothing is removed by hand: whether a transaction that broke off was done is not known.
            self._switch(client, live, staging.buckets, release.require_unchanged)
            return _warnings(client, self._address)

    def _switch(
        self, client: redis.Redis, live: Live, buckets: list[str], require_unchanged: Callable[[], None]
    ) -> None:
        pointer = _pointer(self._name)

        def switch(pipe: Any) -> None:  # noqa: ANN401 (redis' own pipeline type lacks what it has)
            stored = pipe.get(pointer)
            before = None if stored is None else Live.from_json(stored, where=self._address.shown)
            # The pointer is being watched: what is taken down from now on is exported after this, or undoes it.
            require_unchanged()
            pipe.multi()
            if before is not None and before.space == live.space:  # it was done, and only its answer was lost
                return
            for bucket in buckets:
                pipe.persist(bucket)
            pipe.set(pointer, live.to_json())
            if before is not None:
                for bucket in BUCKETS:
                    pipe.expire(_bucket(self._name, before.space, bucket), self._grace_seconds)

        client.transaction(switch, pointer)


class _Staging:
    """The hashes of a release that is not live yet."""

    def __init__(self, client: redis.Redis, name: str, space: str) -> None:
        self.buckets: list[str] = []
        self._client = client
        self._name = name
        self._space = space

    def write(self, entries: Iterator[Entry], release_id: str) -> None:
        renewed = time.monotonic()
        while batch := list(_some(entries)):
            with self._client.pipeline(transaction=False) as pipe:
                for entry in batch:
                    bucket = _bucket(self._name, self._space, entry.key[:2])
                    pipe.hset(bucket, entry.key, entry.document(release_id))
                    if not self.buckets or self.buckets[-1] != bucket:  # entries come by key
                        self.buckets.append(bucket)
                        pipe.expire(bucket, STAGED_SECONDS)
                pipe.execute()
            if time.monotonic() - renewed > STAGED_SECONDS / 4:
                self._renew()
                renewed = time.monotonic()
        self._renew()

    def require(self, entries: int, *, where: str) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            for bucket in self.buckets:
                pipe.hlen(bucket)
            found = sum(pipe.execute())
        if found != entries:
            message = f"{where} holds {found} of the {entries} entries that were written. What was live stays live."
            raise MachineError(message, remedy="Give the server more memory, or another policy of eviction.")

    def remove(self) -> None:
        if self.buckets:
            self._client.unlink(*self.buckets)

    def _renew(self) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            for bucket in self.buckets:
                pipe.expire(bucket, STAGED_SECONDS)
            pipe.execute()


class RedisReader(KeyedReader):
    """A reader of what a server serves now. Threads may share one.

    A look-up asks for its value and for the pointer, in this order and in one round trip. Where the pointer still
    names the space that was asked, that space was live when it answered, for no space becomes live twice. Otherwise
    the look-up begins again. So no answer depends on how long replaced releases stay.

    Raises:
        InputError: Nothing has been exported there, or the server does not let us in.
        TargetUnreachable: It does not answer.
    """

    def __init__(self, address: Address, *, name: str) -> None:
        self._address = address
        self._name = name
        self._client = _client(address)
        self._pointer: bytes = b""
        try:
            self._live = self.live()
        except BaseException:
            self.close()
            raise

    def served(self) -> Served:
        """What is live now."""
        return self.live().served

    def live(self) -> Live:
        """The pointer as it is now.

        Raises:
            InputError: Nothing has been exported there.
        """
        with _translating_errors(self._address):
            return _required(_live(self._client, self._name, self._address), self._address, self._name)

    def find(self, key: str) -> StoredAnswer | None:
        """What is stored for the key of a query, or of one of its aliases, in the release that is live now."""
        live = self._live
        with _translating_errors(self._address):
            wanted = key
            for _ in range(ATTEMPTS):
                document, now = self._ask(live, wanted)
                if now.space != live.space:
                    self._live = live = now
                    wanted = key
                    continue
                found = None if document is None else read_document(document)
                if not isinstance(found, str):
                    return found
                wanted = found
        message = f"{self._address.shown} has served another release at each of {ATTEMPTS} attempts to read one."
        raise TargetUnreachable(message, remedy="Check what exports there again and again.")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, live: Live, key: str) -> tuple[bytes | None, Live]:
        with self._client.pipeline(transaction=False) as pipe:
            pipe.hget(_bucket(self._name, live.space, key[:2]), key)
            pipe.get(_pointer(self._name))
            document, stored = pipe.execute()
        if stored is None:
            return document, _required(None, self._address, self._name)
        return document, Live.from_json(stored, where=self._address.shown)


def _some(entries: Iterator[Entry]) -> Iterator[Entry]:
    """The next entries, until they are many or long."""
    characters = 0
    for entry in islice(entries, BATCH_ENTRIES):
        yield entry
        characters += len(entry.results or "")
        if characters > BATCH_CHARACTERS:
            return


def _pointer(name: str) -> str:
    return f"{name}:current"


def _bucket(name: str, space: str, digits: str) -> str:
    return f"{name}:{space}:{digits}"


def _live(client: redis.Redis, name: str, address: Address) -> Live | None:
    try:
        stored = cast("bytes | None", client.get(_pointer(name)))
    except exceptions.ResponseError as error:
        if not str(error).startswith("WRONGTYPE"):
            raise
        stored = b""
    return None if stored is None else Live.from_json(stored, where=f"{_pointer(name)} on {address.shown}")


def _required(live: Live | None, address: Address, name: str) -> Live:
    if live is None:
        message = f"Nothing has been exported to {address.shown} under the name {name!r}."
        raise InputError(message, remedy="Run `nightrank export`, or correct the name.")
    return live


def _warnings(client: redis.Redis, address: Address) -> tuple[str, ...]:
    """A server that may throw out any key when memory runs short would make look-ups miss."""
    try:
        memory = client.info("memory")
    except exceptions.RedisError:  # not everyone may ask
        return ()
    policy = str(memory.get("maxmemory_policy", ""))
    if not memory.get("maxmemory") or not policy.startswith("allkeys"):
        return ()
    return (f"{address.shown} may throw out published results when memory runs short (maxmemory-policy {policy}).",)


@contextmanager
def _connected(address: Address) -> Iterator[redis.Redis]:
    client = _client(address)
    try:
        yield client
    finally:
        client.close()


def _client(address: Address) -> redis.Redis:
    try:
        return redis.Redis.from_url(
            address.url, password=address.password, socket_connect_timeout=10, socket_timeout=60
        )
    except ValueError:  # its words may repeat the address
        message = f"The address {address.shown} cannot be used."
        raise InputError(message, remedy="Write redis://user:password@host:6379/0.") from None


def _words(error: Exception) -> str:
    """What the server said; of a pipeline, without the command, which holds whole results."""
    return (str(error).rpartition("caused error: ")[2] or type(error).__name__)[:300].rstrip(".")


@contextmanager
def _translating_errors(address: Address) -> Iterator[None]:
    """Errors of the client library in our words."""
    where = address.shown
    try:
        yield
    except exceptions.AuthenticationError as error:
        message = f"{where} rejects the login: {_words(error)}."
        raise InputError(message, remedy="Correct the user, or the password in the address.") from error
    except exceptions.NoPermissionError as error:
        message = f"{where} does not allow it: {_words(error)}."
        raise InputError(message, remedy="Give this user hash, string, key and transaction commands.") from error
    except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
        message = f"{where} does not answer: {_words(error)}."
        raise TargetUnreachable(message, remedy="Check that it runs and can be reached, and try again.") from error
    except exceptions.OutOfMemoryError as error:
        message = f"{where} has no room for another release. What was live stays live."
        raise MachineError(message, remedy="It must hold two releases at a time: raise maxmemory.") from error
    except exceptions.RedisError as error:
        raise MachineError(f"{where} refused: {_words(error)}.", remedy="See its log.") from error

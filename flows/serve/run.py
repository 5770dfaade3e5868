"""The server's process: made, run until it is told to stop, and ended when its last reply is out."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import uvicorn
from typing_extensions import override

from nightrank.flows.serve.answer import Answerer
from nightrank.flows.serve.app import PATIENT, application
from nightrank.flows.serve.current import Current
from nightrank.flows.serve.follow import following
from nightrank.flows.serve.http.faults import TooBusy
from nightrank.flows.serve.http.guard import LOOPBACK, Guard
from nightrank.flows.serve.protocol import BoundedHttp, Room
from nightrank.flows.serve.release import ServedRelease
from nightrank.flows.serve.server import Server
from nightrank.storage.errors import InputError
from nightrank.storage.visits.log import VisitLog
from nightrank.tasks.online.visits import Visits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nightrank.flows.serve.front import Front
    from nightrank.flows.settings_file import Configuration
    from nightrank.tasks.settings.serving import ServeSettings

GRACE_SECONDS = 30  # for what is under way when the server is told to stop
BACKLOG = 2048  # connections that the system keeps until they are taken


class Started(NamedTuple):
    """What a server says when it begins.

    Attributes:
        address: Where it is asked.
        release_id: That it serves; None where nothing is published.
        live: Whether it answers any query.
        memory_bytes: Of the collection, what is mapped counted in.
        warnings: What the user should know.
    """

    address: str
    release_id: str | None
    live: bool
    memory_bytes: int
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """As a JSON object."""
        return {
            "address": self.address,
            "release_id": self.release_id,
            "live": self.live,
            "memory_bytes": self.memory_bytes,
            "warnings": list(self.warnings),
        }


def run(configuration: Configuration, *, host: str, port: int, on_start: Callable[[Started], None]) -> None:
    """Serve until the process is told to stop (SIGTERM, SIGINT).

    Args:
        configuration: Settings, and where they are.
        host: To listen at.
        port: To listen at; 0 for any that is free.
        on_start: Called when it can be asked.

    Raises:
        InputError: The address cannot be listened at, or the token is not there.
        MachineError: The release cannot be read.
    """
    settings = configuration.settings.serve
    token = read_token(settings)
    with listening(host, port) as listener, serving(configuration) as server:
        is_open = token is None and is_loopback(host)
        hosts = [*LOOPBACK, host, *settings.hosts] if is_open else settings.hosts if token is None else ()
        guard = Guard(token, hosts=hosts, max_body_bytes=settings.max_body_bytes)
        asgi = application(server, guard)
        release = server.answerer.current.peek()
        on_start(
            Started(
                address=address_of(listener),
                release_id=None if release is None else release.release_id,
                live=release is not None and release.online is not None,
                memory_bytes=0 if release is None else release.size_bytes,
                warnings=tuple(_warnings(release, host=host, token=token)),
            )
        )
        run_application(asgi, listener, room=_room(server, asgi))


def run_application(asgi: Front, listener: socket.socket, *, room: Room | None = None) -> None:
    """Serve an application until the process is told to stop (SIGTERM, SIGINT).

    Args:
        asgi: It.
        listener: Where it listens.
        room: For requests at once; None where there is no bound.
    """
    config = uvicorn.Config(
        asgi,
        http=partial(BoundedHttp, room=room),  # type: ignore[arg-type] # it is only called
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    _Server(config).run(sockets=[listener])


def _room(server: Server, asgi: Front) -> Room:
    most = server.settings.requests_at_once + server.answerer.capacity.most
    return Room(most, always=PATIENT, full=TooBusy(1).reply(), note=asgi.refused)


class _Server(uvicorn.Server):
    """A server that ends well when it is told to: uvicorn's own dies of the signal in the end."""

    @contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def serving(configuration: Configuration) -> Iterator[Server]:
    """The server's parts, while it runs.

    Raises:
        MachineError: The release cannot be read.
    """
    settings = configuration.settings.serve
    published = configuration.workspace.current_release_id() is not None
    with noting(configuration) as visits, Current(ServedRelease.load(configuration) if published else None) as current:
        follower = following(current, configuration)
        answerer = Answerer(current, settings)
        follower.start()
        try:
            yield Server(settings, answerer, follower, visits)
        finally:
            follower.close()
            answerer.close()


@contextmanager
def noting(configuration: Configuration) -> Iterator[Visits]:
    """What notes searches and clicks, in the log that the settings name.

    Raises:
        InputError: The log cannot be written.
    """
    settings, personal_data = configuration.settings.serve, configuration.settings.queries.personal_data
    if settings.log is None:
        yield Visits(None, personal_data=personal_data)
        return
    with VisitLog(configuration.base / settings.log, keep_days=settings.log_days) as log:
        yield Visits(log, personal_data=personal_data)


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens at an address.

    Raises:
        InputError: It cannot be listened at.
    """
    try:
        kind = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=kind, backlog=BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"{host}, port {port}, cannot be listened at: {reason.rstrip('.')}."
        raise InputError(message, remedy="Choose others with --host and --port, or [serve].host and port.") from error
    with listener:
        yield listener


def read_token(settings: ServeSettings) -> str | None:
    """The token that requests must bring; None where the settings name none.

    Raises:
        InputError: The variable is not set, or what it holds cannot be a token.
    """
    if settings.token_env is None:
        return None
    token = os.environ.get(settings.token_env, "").strip()
    if len(token) < 8 or not token.isascii() or not token.isprintable() or " " in token:
        message = "The variable of the environment that [serve].token_env names holds no token of 8 characters or more."
        raise InputError(message, remedy="Set it where the server runs, to plain characters without spaces.")
    return token


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, as nobody else reaches it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address_of(listener: socket.socket) -> str:
    """Where a socket listens, as a browser asks for it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _warnings(release: ServedRelease | None, *, host: str, token: str | None) -> Iterator[str]:
    if token is None and not is_loopback(host):
        yield f"Everybody who reaches {host} can ask: there is no token ([serve].token_env)."
    if release is None:
        yield "Nothing has been published yet; what is will be served."
    elif release.why_not_live:
        yield f"Only what was answered in advance is answered: {release.why_not_live}"

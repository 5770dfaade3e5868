"""Where a release is exported to and read from: a file by its suffix, a server by its URL.

A password is taken out of a URL at once and kept apart, so that the rest can be shown, logged and stored.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

TargetKind: TypeAlias = Literal["parquet", "sqlite", "redis", "postgres"]

SUFFIXES: dict[str, TargetKind] = {
    ".parquet": "parquet",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}
# What a user may write, what it is, and how the client library calls it.
SCHEMES: dict[str, tuple[TargetKind, str]] = {
    "redis": ("redis", "redis"),
    "rediss": ("redis", "rediss"),
    "valkey": ("redis", "redis"),
    "valkeys": ("redis", "rediss"),
    "unix": ("redis", "unix"),
    "postgresql": ("postgres", "postgresql"),
    "postgres": ("postgres", "postgresql"),
}
_KNOWN = (
    "A file that ends in .sqlite or .parquet, or redis://..., rediss://..., valkey://..., unix://... or "
    "postgresql://..."
)
_HOW_TO_WRITE_IT = (
    "Percent-encode what is special in a user or password (`@` is %40), or keep the password in the environment: "
    "redis://user:${NAME}@host:6379/0."
)


@dataclass(frozen=True, slots=True)
class Address:
    """A place that serves releases.

    Attributes:
        kind: Of store.
        shown: As it may be shown: without a password, and without the options of a URL.
        url: For the client library, without a password; empty for a file.
        password: Of a server, where its URL has one.
        path: Of a file.
    """

    kind: TargetKind
    shown: str
    url: str = field(default="", repr=False)
    password: str | None = field(default=None, repr=False)
    path: Path = field(default=Path(), repr=False)

    @property
    def is_file(self) -> bool:
        """Whether it is a file, and no server."""
        return not self.url


def parse_address(text: str, *, base: Path, environment: Mapping[str, str] | None = None) -> Address:
    """Understand an address.

    Args:
        text: As the user wrote it; ``${NAME}`` in place of a password stands for a variable of the environment.
        base: What the path of a file is relative to.
        environment: Default: this process's, for readers that open an address by themselves.

    Raises:
        InputError: It is none; the message never holds it, for there may be a password in it.
    """
    scheme, separator, _ = text.partition("://")
    if separator:
        return _server(text, scheme.lower(), os.environ if environment is None else environment)
    kind = SUFFIXES.get(Path(text).suffix.lower())
    if kind is None:
        suffix = Path(text).suffix
        raise InputError(f"Nothing can be exported to a file that ends in {suffix!r}.", remedy=f"{_KNOWN}.")
    path = (base / Path(text).expanduser()).absolute()
    return Address(kind, str(path), path=path)


def _server(text: str, scheme: str, environment: Mapping[str, str]) -> Address:
    if scheme not in SCHEMES:
        shown = scheme if re.fullmatch(r"[a-z][a-z0-9+.-]{0,20}", scheme) else "..."
        raise InputError(f"Nothing can be exported to {shown}://.", remedy=f"{_KNOWN}.")
    kind, library_scheme = SCHEMES[scheme]
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    user, at, hosts = parts.netloc.rpartition("@")
    behind = f"{parts.path}{parts.query}{parts.fragment}"
    if not parts.scheme or "@" in user or "@" in behind or parts.fragment or ":" in user.partition(":")[2]:
        message = f"The address {scheme}://... cannot be read: it has an `@`, `:`, `/`, `?` or `#` too many."
        raise InputError(message, remedy=_HOW_TO_WRITE_IT)
    if re.search(r"(^|[&;])\w*password=", parts.query, re.IGNORECASE):
        message = f"The address {scheme}://... has a password among its options, where it would be shown."
        raise InputError(message, remedy=_HOW_TO_WRITE_IT)
    name, colon, password = user.partition(":")
    netloc = f"{name}@{hosts}" if name else hosts
    return Address(
        kind,
        shown=f"{scheme}://{netloc}{parts.path}",
        url=f"{library_scheme}://{netloc}{parts.path}{'?' if parts.query else ''}{parts.query}",
        password=_password(password, environment) if at and colon else None,
    )


def _password(written: str, environment: Mapping[str, str]) -> str | None:
    variable = re.fullmatch(r"\$\{(\w+)\}", written)
    if variable is None:
        return unquote(written) or None
    if variable[1] not in environment:
        message = "The environment variable that the address names for its password is not set."
        raise InputError(message, remedy="Set it where the export runs.")
    return environment[variable[1]]

"""Where something is asked over HTTP, and what people are told of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from nightrank.tasks.settings.endpoint import EndpointSettings

# Narrower than what a shell takes, so that a key that was put in its place is told from it, and is shown nowhere.
VARIABLE_NAME = re.compile(r"(?=.{1,64}\Z)(?=.*_)[A-Z][A-Z0-9_]*")
HOST = re.compile(r"[A-Za-z0-9._:-]+")  # as it is sent: ASCII, and colons in an IPv6 address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an API is, how it is asked, and the words for it.

    Attributes:
        url: Where it is, without a slash at the end.
        section: Of the settings that name it, in brackets.
        settings: How it is asked.
        task: What a key must be allowed to do: "rerank".
        kept: What was done so far and is kept: "what was scored".
        check: Settings to look at where it refuses a request.
        key_header: The header that carries the key, and what stands before the key in it.
    """

    url: str
    section: str
    settings: EndpointSettings
    task: str
    kept: str
    check: str
    key_header: tuple[str, str] = ("Authorization", "Bearer ")


def check_key_place(settings: EndpointSettings, *, section: str, example: str) -> None:
    """Check where settings say that the key is.

    Args:
        settings: They.
        section: Theirs, in brackets.
        example: Name of a variable, for people.

    Raises:
        InputError: Two places are named, or none that can be. No message repeats what could be a key.
    """
    if settings.api_key_env is not None and settings.api_key_block is not None:
        message = f"{section} names both `api_key_env` and `api_key_block`."
        raise InputError(message, remedy="Keep the one that holds the key.")
    if settings.api_key_env is not None and VARIABLE_NAME.fullmatch(settings.api_key_env) is None:
        message = f"{section}.api_key_env is no name of an environment variable."
        remedy = (
            f'Give the name, such as "{example}": up to 64 capitals and digits, an underscore among them. The key '
            "itself must not stand in the settings."
        )
        raise InputError(message, remedy=remedy)


def checked_url(url: str, *, section: str) -> str:
    """An address as requests are made of it: its host in small letters, and no slash at its end.

    Args:
        url: As the settings have it.
        section: Theirs, in brackets.

    Raises:
        InputError: It is none that can be asked, or holds what could be a key.
    """
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        sound = sound and not parts.query and not parts.fragment and (parts.port is None or parts.port > 0)
        sound = sound and _can_be_asked_for(url)
    except ValueError:  # a port that is no number
        sound = False
    if not sound:
        message = f"{section}.url is no plain http or https address."
        remedy = "Give scheme, host and port alone, such as http://localhost:8080; a key goes into `api_key_env`."
        raise InputError(message, remedy=remedy)
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _can_be_asked_for(url: str) -> bool:
    """Whether the HTTP client takes an address, and its host can be looked up."""
    import httpx  # is needed nowhere else where nothing is asked for

    try:
        host = httpx.URL(url).raw_host.decode("ascii")
        host.encode("idna")
    except (httpx.InvalidURL, UnicodeError):  # of labels that are empty or too long
        return False
    return HOST.fullmatch(host) is not None

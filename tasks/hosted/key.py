"""The key of what is asked over HTTP: read where a request is about to be made, and handed to nothing else.

It is the one thing below ``flows/`` that reads the environment, on purpose: settings, plans and records are stored,
compared and shown, and what never stands in one of them cannot be stored or shown with it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError, MachineError

if TYPE_CHECKING:
    from nightrank.tasks.settings.endpoint import EndpointSettings
    from nightrank.tasks.settings.whole import Settings


def read_key(settings: EndpointSettings, *, section: str) -> str | None:
    """The key; None where the settings name none, as for a server of one's own.

    Args:
        settings: They.
        section: Theirs, in brackets.

    Raises:
        InputError: The variable or the block is not there, or what it holds cannot be a key.
        MachineError: Prefect's API does not answer.
    """
    if settings.api_key_env is not None:
        name = f"the environment variable that {section}.api_key_env names"
        return _checked(os.environ.get(settings.api_key_env), name)
    if settings.api_key_block is not None:
        name = f"the Prefect Secret block that {section}.api_key_block names"
        return _checked(_from_block(settings.api_key_block, name), name)
    return None


def without_key_place(settings: Settings) -> Settings:
    """Settings as they may be stored and shown: without the place of the keys, lest a key itself stands there.

    Nor are the addresses of ``[export]`` in them, which may hold passwords.
    """
    nowhere = {"api_key_env": None, "api_key_block": None}
    hosted = settings.reranker.hosted.model_copy(update=nowhere)
    questions = settings.queries.questions.model_copy(update=nowhere)
    return settings.model_copy(
        update={
            "reranker": settings.reranker.model_copy(update={"hosted": hosted}),
            "queries": settings.queries.model_copy(update={"questions": questions}),
            "judge": settings.judge.model_copy(update=nowhere),
            "export": settings.export.model_copy(update={"to": ()}),
        }
    )


def key_place(settings: EndpointSettings, *, section: str) -> str:
    """Where a key was found, in words.

    Args:
        settings: They.
        section: Theirs, in brackets.
    """
    if settings.api_key_env is not None:
        return f"the environment variable {settings.api_key_env}"
    if settings.api_key_block is not None:
        return f"Prefect's Secret block {settings.api_key_block!r}"
    return f"nowhere: set {section}.api_key_env or api_key_block"


def _checked(value: object, place: str) -> str:
    """The key, as a header can carry it. What is wrong is told without the key, and without what could be one."""
    if value is None:
        message = f"There is no key: {place} is not there."
        raise InputError(message, remedy="Set it where the run takes place; what was done so far is kept.")
    key = value.strip() if isinstance(value, str) else ""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        message = f"What {place} holds cannot be the key of an API: it is empty or no plain word."
        raise InputError(message, remedy="Set it to the key and nothing else.")
    return key


def _from_block(name: str, place: str) -> object:
    """What a Secret block holds; None where there is no such block."""
    from prefect.blocks.system import Secret
    from prefect.exceptions import PrefectException

    reason = ""
    try:
        return Secret.load(name).get()  # type: ignore[union-attr]  # in a synchronous caller it is no coroutine
    except ValueError:  # no block of that name
        return None
    except (PrefectException, OSError) as error:  # nothing of the block's content is in its name
        reason = type(error).__name__
    message = f"{place[0].upper()}{place[1:]} could not be read: {reason}."
    raise MachineError(message, remedy="Check that Prefect's API answers, and run again.")

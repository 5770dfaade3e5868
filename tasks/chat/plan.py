"""What is known of a language model without asking it: where it is, what it is called, what its answers depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.keys import fingerprint
from nightrank.tasks.hosted.endpoint import Endpoint, check_key_place, checked_url

if TYPE_CHECKING:
    from nightrank.tasks.settings.chat import ChatSettings


@dataclass(frozen=True, slots=True)
class ChatPlan:
    """Everything about a language model that can be known without asking it.

    Attributes:
        model: Its name in the API.
        endpoint: Where the API is.
        settings: How it is asked, and what may be spent.
        fingerprint: Of place, model, ``revision`` and how answers are drawn, for which they are remembered.
    """

    model: str
    endpoint: Endpoint
    settings: ChatSettings
    fingerprint: str


def plan_chat(settings: ChatSettings, *, section: str, task: str, kept: str) -> ChatPlan:
    """The plan of the language model that a section names.

    Args:
        settings: The section.
        section: Its name, in brackets.
        task: What it is asked to do, as in "a key that is allowed to ...".
        kept: What of it is kept where it fails, as in "... is kept".

    Raises:
        InputError: A setting is missing or wrong. No message repeats what could be a key.
    """
    for name in ("url", "model"):
        if getattr(settings, name) is None:
            message = f"{section}.{name} is missing: no model is named that could be asked."
            raise InputError(message, remedy=f"Set url and model in {section}.")
    assert settings.url is not None
    assert settings.model is not None
    url = checked_url(settings.url, section=section)
    check_key_place(settings, section=section, example="OPENAI_API_KEY")
    check = f"Check `model`, `url`, `temperature` and `max_tokens` in {section}."
    place = url.partition("://")[2]
    decisive = ["chat", place, settings.model, settings.revision, settings.temperature, settings.max_tokens]
    endpoint = Endpoint(url, section, settings, task=task, kept=kept, check=check)
    return ChatPlan(settings.model, endpoint, settings, fingerprint(decisive))

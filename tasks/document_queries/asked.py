"""The model that asks questions of documents, as a night asks it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from nightrank.tasks.chat.instructions import instructions_of
from nightrank.tasks.chat.plan import plan_chat
from nightrank.tasks.document_queries.questions import INSTRUCTIONS, SECTION, Questions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.tasks.chat.client import ChatModel
    from nightrank.tasks.settings.chat import QuestionsSettings


@contextmanager
def questions_of(settings: QuestionsSettings, *, base: Path, folder: Path) -> Iterator[Questions | None]:
    """The questions of documents; None where no model is named.

    Args:
        settings: Of the model.
        base: The folder that paths in them are relative to.
        folder: Of the workspace's memos, which this process writes.

    Raises:
        InputError: A setting is missing or wrong.
    """
    if settings.url is None and settings.model is None:
        yield None
        return
    plan = plan_chat(settings, section=SECTION, task="answer", kept="what was asked")

    def connect() -> ChatModel:
        from nightrank.tasks.chat.client import ChatModel  # its HTTP client is needed nowhere else

        return ChatModel.connect(plan)

    instructions = instructions_of(settings.prompt, base=base, ours=INSTRUCTIONS, section=SECTION)
    with Questions(
        folder, settings, instructions=instructions, fingerprint=plan.fingerprint, connect=connect
    ) as questions:
        yield questions

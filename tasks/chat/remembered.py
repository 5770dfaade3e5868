"""Asks a language model what nobody has asked it yet: an answer is remembered as it arrives, and paid for once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.memo.answers import about

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nightrank.storage.memo.answers import AnswerMemo
    from nightrank.tasks.chat.api import Prompt
    from nightrank.tasks.chat.client import Answer, ChatModel


def remembered(prompts: Sequence[Prompt], memo: AnswerMemo) -> dict[str, str]:
    """The answers that were paid for already, by the keys of the prompts."""
    return memo.answers_of({prompt.key for prompt in prompts})


def ask_what_is_new(prompts: Sequence[Prompt], memo: AnswerMemo, connect: Callable[[], ChatModel]) -> Iterator[Answer]:
    """The answers to prompts that the memo knows nothing of, each remembered before it is handed on.

    Args:
        prompts: What is asked; the first ones first, as far as the cap goes.
        memo: Of the model's answers.
        connect: Opens the model; called where there is anything to ask.

    Raises:
        MachineError: The API does not answer, or not as documented; what has come is remembered.
        InputError: The key is not there, or the API refuses it or a request; likewise.
    """
    known = remembered(prompts, memo)
    new = {prompt.key: prompt for prompt in prompts if prompt.key not in known}
    if not new:
        return
    with connect() as model:
        yield from keep(model.answers(new.values()), memo)


def keep(answers: Iterable[Answer], memo: AnswerMemo) -> Iterator[Answer]:
    """Answers as they come, each remembered before it is handed on."""
    for answer in answers:
        key, subject = answer.prompt.key, about(answer.prompt.document_id)
        memo.append([{"key": key, "about": subject, "answer": answer.text}])
        yield answer

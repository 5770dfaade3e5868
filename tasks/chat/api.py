"""What an OpenAI-compatible API is sent and what it answers; no network here.

A request is ``POST /chat/completions`` with a model and messages; an answer has ``choices``, and the first one's
``message.content`` is a text, or (as some servers have it) a list of parts with texts. Source:
platform.openai.com/docs/api-reference/chat, docs.vllm.ai, github.com/ggml-org/llama.cpp/tree/master/tools/server.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.keys import digest

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue
    from nightrank.tasks.settings.chat import ChatSettings

PATH = "/chat/completions"
MOST_CHARACTERS = 100_000  # of an answer: what comes after is cut off
_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)  # what some models say before they answer


class MalformedAnswer(ValueError):
    """An answer that is JSON and yet not what the API's documentation says."""


class Prompt(NamedTuple):
    """What a model is asked.

    Attributes:
        instructions: What it is to do, the same for all.
        question: What it is about.
        document_id: The document that it is about.
    """

    instructions: str
    question: str
    document_id: str

    @property
    def key(self) -> str:
        """Of every word that the model reads."""
        return digest("prompt", self.instructions, self.question)


def body_of(prompt: Prompt, *, model: str, settings: ChatSettings) -> dict[str, JsonValue]:
    """The body of a request.

    Args:
        prompt: What is asked.
        model: Its name in the API.
        settings: How it is to answer.
    """
    messages: list[JsonValue] = [
        {"role": "system", "content": prompt.instructions},
        {"role": "user", "content": prompt.question},
    ]
    body: dict[str, JsonValue] = {"model": model, "messages": messages}
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    if settings.max_tokens is not None:
        body["max_tokens"] = settings.max_tokens
    return body


def text_of(answer: JsonValue) -> str:
    """The text of an answer, without what a model thought aloud before it; empty where it says nothing.

    Raises:
        MalformedAnswer: It has no message.

    >>> text_of({"choices": [{"message": {"role": "assistant", "content": "<think>Is it? No.</think> 0 "}}]})
    '0'
    """
    choices = answer.get("choices") if isinstance(answer, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    if content is None and isinstance(message, dict):  # a refusal, which is paid for as any answer
        content = ""
    if not isinstance(content, str):
        reason = "it holds no message with a text"
        raise MalformedAnswer(reason)
    # Lone surrogates, which JSON allows, could not be stored.
    return _THOUGHT.sub("", content).strip()[:MOST_CHARACTERS].encode("utf-8", "replace").decode()

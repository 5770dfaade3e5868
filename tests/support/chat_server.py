"""A language model on this machine, behind an API as OpenAI's, that fails when it is told to.

Faults are taken from a list, one a request, until it is empty. What was answered well is counted prompt by prompt, as a
provider would bill it.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.hosted_server import KEY, Answer, Body, Fault, Hang, HangUp, Spoilt, Status, answering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODEL = "a-model"


@dataclass
class ChatServer:
    """What the model was asked, and what it says.

    Attributes:
        says: The answer to a question.
        faults: What happens to the next requests; None: nothing.
        requests: Headers and bodies of all requests.
        paid: How often each question was answered, in an answer that went out whole.
        most_at_once: How many requests were under way at the same time.
        gate: Requests wait for it.
    """

    says: Callable[[str], object]
    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[dict[str, str], Body]] = field(default_factory=list)
    paid: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    needs_key: bool = True
    gate: threading.Event = field(default_factory=threading.Event)
    stop: Callable[[], None] = lambda: None
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, headers: dict[str, str], body: Body) -> Answer | HangUp | Hang:
        with self._lock:
            self.requests.append((headers, body))
            fault = self.faults.pop(0) if self.faults else None
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        self.gate.wait(10)
        with self._lock:
            self._at_once -= 1
            return self._answer(path, headers, body, fault)

    def _answer(self, path: str, headers: dict[str, str], body: Body, fault: Fault) -> Answer | HangUp | Hang:
        if isinstance(fault, HangUp | Hang):
            return fault
        if isinstance(fault, Status):
            return fault.code, fault.headers, fault.body.encode()
        if self.needs_key and headers.get("authorization") != f"Bearer {KEY}":
            return 401, {}, json.dumps({"error": {"message": f"Incorrect API key: {KEY}"}}).encode()
        if path != "/v1/chat/completions":
            return 404, {}, b'{"error": {"message": "not found"}}'
        if body["model"] != MODEL:
            return 404, {}, b'{"error": {"message": "The model does not exist."}}'
        question = body["messages"][-1]["content"]
        spoilt = fault if isinstance(fault, Spoilt) else Spoilt()
        sent = json.dumps(envelope(self.says(question))).encode()
        raw = spoilt.raw(sent)
        if raw == sent:
            self.paid[question] += 1
        return 200, {"Content-Type": "application/json"}, raw


def envelope(content: object) -> dict[str, Any]:
    """An answer of the API's form."""
    message = {"role": "assistant", "content": content, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1760000000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 1, "total_tokens": 201},
    }


@contextmanager
def chat_server(says: Callable[[str], object]) -> Iterator[ChatServer]:
    """A model that says something to each question, listening on this machine while the block runs."""
    state = ChatServer(says)
    state.gate.set()
    with answering(state.answer) as (state.url, state.stop):
        yield state

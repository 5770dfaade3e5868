"""Judges a pool by a model: what it said before is remembered, the rest is asked, as far as the cap goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nightrank.storage.errors import NightrankError
from nightrank.tasks.chat.remembered import ask_what_is_new, remembered
from nightrank.tasks.judge.grades import grade_of, prompt_of
from nightrank.tasks.judge.texts import documents_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nightrank.storage.memo.answers import AnswerMemo
    from nightrank.tasks.chat.api import Prompt
    from nightrank.tasks.chat.client import ChatModel
    from nightrank.tasks.judge.agreement import Pair
    from nightrank.tasks.judge.pool import Pooled
    from nightrank.tasks.release import StoredRelease

QUERIES_AT_ONCE = 100  # whose documents are held in memory


@dataclass(slots=True)
class ModelGrades:
    """What a model says of a pool.

    Attributes:
        grades: By pair of query id and document id.
        pairs: In the pool, as far as the collection still has them.
        answered: Answers that came now.
        requests: That were sent for them and may have been billed.
        without_grade: Pairs whose answer, now or before, is no grade; they are not asked for again.
        failed: Why pairs got no answer.
        fault: What ended it before its time; None where nothing did.
    """

    grades: dict[Pair, int] = field(default_factory=dict)
    pairs: int = 0
    answered: int = 0
    requests: int = 0
    without_grade: int = 0
    failed: list[str] = field(default_factory=list)
    fault: NightrankError | None = None

    @property
    def left(self) -> int:
        """Pairs that wait for the next run."""
        return self.pairs - len(self.grades) - self.without_grade

    def take(self, pairs: Sequence[Pair], answer: str) -> None:
        """What the model says of some pairs that read alike."""
        grade = grade_of(answer)
        if grade is None:
            self.without_grade += len(pairs)
        else:
            self.grades |= dict.fromkeys(pairs, grade)


def grade_pool(
    pooled: Sequence[Pooled],
    release: StoredRelease,
    memo: AnswerMemo,
    connect: Callable[[], ChatModel],
    *,
    instructions: str,
    most_characters: int,
    on_answer: Callable[[int, int], None] = lambda _answered, _new: None,
) -> ModelGrades:
    """What a model says of a pool. What fails is in it, and never loses what came before.

    To be called while the workspace is being read.

    Args:
        pooled: What is judged; documents that the release has not are passed over.
        release: Whose texts are read.
        memo: Of the model's answers.
        connect: Opens the model; called where there is anything to ask.
        instructions: What it is to do.
        most_characters: Of a text that it reads.
        on_answer: Told how many answers came, of how many that are wanted.
    """
    found = ModelGrades()
    new: dict[str, Prompt] = {}
    pairs_of: dict[str, list[Pair]] = {}
    for start in range(0, len(pooled), QUERIES_AT_ONCE):
        batch = pooled[start : start + QUERIES_AT_ONCE]
        prompts = _prompts(batch, release, instructions=instructions, most=most_characters)
        found.pairs += len(prompts)
        by_key: dict[str, list[Pair]] = {}
        for pair, prompt in prompts.items():
            by_key.setdefault(prompt.key, []).append(pair)
        known = remembered(list(prompts.values()), memo)
        for pair, prompt in prompts.items():
            if prompt.key not in known:
                new[prompt.key] = prompt
                pairs_of.setdefault(prompt.key, []).append(pair)
        for key, answer in known.items():
            found.take(by_key[key], answer)
    _ask(found, new, pairs_of, memo, connect=connect, on_answer=on_answer)
    return found


def _ask(
    found: ModelGrades,
    new: dict[str, Prompt],
    pairs_of: dict[str, list[Pair]],
    memo: AnswerMemo,
    *,
    connect: Callable[[], ChatModel],
    on_answer: Callable[[int, int], None],
) -> None:
    model: ChatModel | None = None

    def connected() -> ChatModel:
        nonlocal model
        model = connect()
        return model

    try:
        for answer in ask_what_is_new(list(new.values()), memo, connected):
            found.answered += 1
            found.take(pairs_of[answer.prompt.key], answer.text)
            on_answer(found.answered, len(new))
    except NightrankError as fault:
        found.fault = fault
    if model is not None:
        found.requests = model.requests.sent
        found.failed = [failed.reason for failed in model.failed]


def _prompts(batch: Sequence[Pooled], release: StoredRelease, *, instructions: str, most: int) -> dict[Pair, Prompt]:
    documents = documents_of(release, {document_id for query in batch for document_id in query.documents})
    return {
        (query.query_id, document_id): prompt_of(
            query, document_id, documents[document_id], instructions=instructions, most=most
        )
        for query in batch
        for document_id in query.documents
        if document_id in documents
    }

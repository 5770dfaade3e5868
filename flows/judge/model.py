"""``nightrank judge --by model``: a model grades what can change a measure, and is held against people where it can."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nightrank.flows.judge.inputs import MODEL, folder_of, judged_by_people, judged_in, to_judge
from nightrank.storage.keys import digest
from nightrank.storage.memo.answers import AnswerMemo
from nightrank.storage.records import Judgment
from nightrank.tasks.chat.client import ChatModel
from nightrank.tasks.chat.instructions import instructions_of
from nightrank.tasks.chat.plan import plan_chat
from nightrank.tasks.judge.agreement import agreement, tau_of_systems
from nightrank.tasks.judge.by_model import grade_pool
from nightrank.tasks.judge.grades import INSTRUCTIONS
from nightrank.tasks.judge.shown import read_shown, shown, write_shown
from nightrank.tasks.trec.qrels import write_judgments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from nightrank.flows.judge.inputs import ToJudge
    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.errors import NightrankError
    from nightrank.storage.records import JsonValue
    from nightrank.tasks.chat.plan import ChatPlan
    from nightrank.tasks.judge.by_model import ModelGrades
    from nightrank.tasks.judge.shown import Shown

SECTION = "[judge]"


@dataclass(frozen=True, slots=True)
class JudgedByModel:
    """What became of it.

    Attributes:
        qrels: The file of all judgments of the model; None where there is none.
        judged: How many it holds.
        found: What the model said of the pool.
        agreement: With people; None where nothing was judged.
    """

    qrels: Path | None
    judged: int
    found: ModelGrades
    agreement: Shown | None

    @property
    def fault(self) -> NightrankError | None:
        """What ended it before its time."""
        return self.found.fault

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``--json``."""
        found = self.found
        return {
            "by": "model",
            "qrels": None if self.qrels is None else str(self.qrels),
            "judged": self.judged,
            "pairs": found.pairs,
            "answered": found.answered,
            "requests": found.requests,
            "without_grade": found.without_grade,
            "left": found.left,
            "failed": [*found.failed],
            "agreement": None if self.agreement is None else self.agreement.as_json(),
        }


def judge_by_model(
    configuration: Configuration,
    *,
    queries: int,
    releases: Sequence[str],
    now: datetime,
    connect: Callable[[ChatPlan], ChatModel] = ChatModel.connect,
    on_answer: Callable[[int, int], None] = lambda _answered, _new: None,
) -> JudgedByModel:
    """Have the model of ``[judge]`` grade the pool, and write what it said.

    What came is remembered as it comes, and written even where something fails; that is in what is returned.

    Args:
        configuration: Settings, and where they are.
        queries: Queries of the pool at most, beside those that people judged, too.
        releases: Ids of releases that are compared with the current one.
        now: When.
        connect: Opens the model of a plan.
        on_answer: Told how many answers came, of how many that are wanted.

    Raises:
        InputError: A setting is missing or wrong, or there is nothing to judge.
        WorkspaceBusy: Another run holds the workspace.
    """
    settings = configuration.settings.judge
    plan = plan_chat(settings, section=SECTION, task="answer", kept="what was judged")
    instructions = instructions_of(settings.prompt, base=configuration.base, ours=INSTRUCTIONS, section=SECTION)
    people = judged_by_people(configuration)
    first = list(dict.fromkeys(judgment.query_id for judgment in people))[: settings.min_queries]
    workspace = configuration.workspace
    with workspace.writing(now=now, tidy=False), workspace.reading():
        wanted = to_judge(configuration, releases=releases, queries=queries, first=first)
        with AnswerMemo(workspace.memo, model=plan.fingerprint) as memo:
            found = grade_pool(
                wanted.pooled,
                wanted.release,
                memo,
                partial(connect, plan),
                instructions=instructions,
                most_characters=settings.max_characters,
                on_answer=on_answer,
            )
    return _written(configuration, wanted, plan, found, people, prompt=digest("instructions", instructions))


def _written(
    configuration: Configuration,
    wanted: ToJudge,
    plan: ChatPlan,
    found: ModelGrades,
    people: Sequence[Judgment],
    *,
    prompt: str,
) -> JudgedByModel:
    """Write the judgments of the model, those of earlier runs among them, and what they agree with."""
    path = folder_of(configuration) / MODEL
    before = read_shown(path)
    is_same = before is not None and (before.fingerprint, before.prompt) == (plan.fingerprint, prompt)
    grades = {
        (one.query_id, one.document_id): one.grade for one in (judged_in(configuration, MODEL) if is_same else ())
    }
    grades |= found.grades
    if not grades:
        return JudgedByModel(None, 0, found, None)
    judgments = [Judgment(*pair, grades[pair], "model") for pair in sorted(grades)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_judgments(path, judgments)
    of_people = {(one.query_id, one.document_id): one.grade for one in people}
    agreed = agreement(of_people, grades, most=max(1, *of_people.values(), 0))
    tau, count = tau_of_systems(wanted.runs, people, judgments, measure=wanted.measure)
    record = shown(
        path,
        agreed,
        tau,
        systems=count,
        measure=wanted.measure,
        model=plan.model,
        fingerprint=plan.fingerprint,
        prompt=prompt,
        settings=configuration.settings.judge,
    )
    write_shown(path, record)
    return JudgedByModel(path, len(judgments), found, record)

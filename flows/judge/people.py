"""``nightrank judge --by people``: serves the page in which people judge, at this machine alone, until it is ended."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nightrank.flows.judge.app import JudgePage, application
from nightrank.flows.judge.inputs import PEOPLE, folder_of, judged_by_people, judged_in, to_judge
from nightrank.flows.judge.session import Session
from nightrank.flows.serve.http.guard import LOOPBACK, Guard
from nightrank.flows.serve.run import address_of, listening, run_application
from nightrank.storage.errors import InputError
from nightrank.storage.grades import GradeLog, grades_of
from nightrank.tasks.judge.texts import documents_of
from nightrank.tasks.personal_data import impersonal_id
from nightrank.tasks.read.values import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from nightrank.flows.judge.session import Agreed
    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.records import JsonValue

HOST = "127.0.0.1"
MOST_BODY_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits to be judged, and where: as a page begins."""

    address: str
    pairs: int
    queries: int

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``--json``."""
        return {"by": "people", "address": self.address, "pairs": self.pairs, "queries": self.queries}


@dataclass(frozen=True, slots=True)
class JudgedByPeople:
    """What people judged, when the page ends.

    Attributes:
        qrels: The file of it; None where there is nothing.
        name: As settings name it.
        judged: Pairs that it holds.
        judges: How many each graded, by name.
        agreements: Of each two of them.
    """

    qrels: Path | None
    name: str
    judged: int
    judges: dict[str, int]
    agreements: Sequence[Agreed]


def judge_by_people(
    configuration: Configuration,
    *,
    queries: int,
    releases: Sequence[str],
    port: int,
    on_start: Callable[[Waiting], None],
) -> JudgedByPeople:
    """Serve the page until the process is told to stop (SIGTERM, SIGINT).

    Args:
        configuration: Settings, and where they are.
        queries: Of the pool at most.
        releases: Ids of releases that are compared with the current one.
        port: To listen at; 0 for any that is free.
        on_start: Called when it can be asked.

    Raises:
        InputError: There is nothing to judge, the port is taken, or the file of judgments holds others than its log.
        WorkspaceBusy: Another process serves the page.
    """
    with listening(HOST, port) as listener, judging(configuration, queries=queries, releases=releases) as session:
        guard = Guard(None, hosts=LOOPBACK, max_body_bytes=MOST_BODY_BYTES)
        on_start(Waiting(address_of(listener), session.pairs, session.queries))
        run_application(application(JudgePage(session), guard), listener)
        return outcome_of(configuration, session)


@contextmanager
def judging(configuration: Configuration, *, queries: int, releases: Sequence[str]) -> Iterator[Session]:
    """What people judge, while they do.

    Raises:
        InputError: There is nothing to judge, or the file of judgments holds others than its log.
        WorkspaceBusy: Another process holds what people said.
    """
    folder = folder_of(configuration)
    with GradeLog(folder) as log:
        _require_only_ours(configuration, log)
        ours = {pair for grades in grades_of(log.acts).values() for pair in grades}
        with configuration.workspace.reading():
            wanted = to_judge(configuration, releases=releases, queries=queries)
            ids = {document_id for query in wanted.pooled for document_id in query.documents}
            documents = documents_of(wanted.release, ids)
        named = {(one.query_id, one.document_id) for one in judged_by_people(configuration)}
        yield Session(
            wanted.pooled,
            documents,
            known=frozenset(named - ours),
            log=log,
            qrels=folder / PEOPLE,
            now=lambda: datetime.now(UTC),
        )


def _require_only_ours(configuration: Configuration, log: GradeLog) -> None:
    """Refuse to write over judgments that the log knows nothing of: of another checkout, or written by hand.

    Raises:
        InputError: There are some.
    """
    said = {(impersonal_id(act.query_id), act.document_id) for act in log.acts}
    others = [one for one in judged_in(configuration, PEOPLE) if (one.query_id, one.document_id) not in said]
    if others:
        name, first = f"{configuration.settings.judge.folder}/{PEOPLE}", others[0]
        message = (
            f"{name} holds {len(others):,} judgments that {log.path.name} beside it does not, such as that of query "
            f"{shown(first.query_id)} and document {shown(first.document_id)}; they would be written over."
        )
        raise InputError(message, remedy=f"Give {name} another name, and name that as [judgments].qrels.")


def outcome_of(configuration: Configuration, session: Session) -> JudgedByPeople:
    """What people judged so far."""
    judgments, path = session.judgments(), folder_of(configuration) / PEOPLE
    return JudgedByPeople(
        path if judgments else None,
        f"{configuration.settings.judge.folder}/{PEOPLE}",
        len(judgments),
        session.graded(),
        session.agreements(),
    )

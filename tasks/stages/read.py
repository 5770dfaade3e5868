"""The first stage: documents, queries and judgments are read, checked and settled; what is bad is set aside."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import RowWriter, copy_columns, read_column
from nightrank.storage.keys import digest_of_sequence, fingerprint
from nightrank.storage.records import BadRow, asked_by_people, kind_of
from nightrank.storage.release.documents import DIGESTS, deduplicate_documents, documents_digest, raw_row
from nightrank.tasks.document_queries.ask import queries_of_documents
from nightrank.tasks.document_queries.asked import questions_of
from nightrank.tasks.evaluate.measures import parse_measure
from nightrank.tasks.filters.compile import refused
from nightrank.tasks.query_log.dropped import Dropped
from nightrank.tasks.query_log.select import LogToRead, read_queries
from nightrank.tasks.read.account import CHARACTERS, WITH_TEXT, Account, Kind
from nightrank.tasks.read.bad_rows import SetAside
from nightrank.tasks.read.folder.named import files_named
from nightrank.tasks.read.sizes import tell_sizes
from nightrank.tasks.read.source import read_documents
from nightrank.tasks.read.told import characters_of
from nightrank.tasks.read.values import shown
from nightrank.tasks.runtime.retries import RETRIED
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.trec.leg import RunRead, read_external_run, runs_of
from nightrank.tasks.trec.qrels import judgments_of
from nightrank.tasks.trec.unknown import unknown_documents

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import pyarrow as pa

    from nightrank.storage.legs import LegName
    from nightrank.storage.records import Judgment
    from nightrank.storage.release.files import DocumentDigests, Documents, ExternalRun, LaterDay, Queries, Watched
    from nightrank.tasks.night import Night
    from nightrank.tasks.query_log.fill import DocumentQuery
    from nightrank.tasks.read.account import Entry
    from nightrank.tasks.settings.whole import Settings


COLUMNS_SHOWN = 5


class InputCounts(NamedTuple):
    """How much was read.

    Attributes:
        documents: That can be used.
        documents_bad: Rows that were set aside.
        documents_retracted: That the source has and that were taken down; they are left out.
        queries: That were chosen.
        queries_from_documents: Those of them that documents ask, and nobody else.
        queries_bad: Rows of the log that were set aside.
        queries_judged: Judged queries among the chosen ones.
    """

    documents: int
    documents_bad: int
    documents_retracted: int
    queries: int
    queries_from_documents: int
    queries_bad: int
    queries_judged: int


@dataclass(frozen=True, slots=True)
class InputsRead:
    """What was read.

    Attributes:
        documents: Every document once.
        digests: Theirs, which the release keeps.
        queries: The chosen queries.
        watched: Their searches that would show clicks, and the clicks.
        external_runs: External runs, by the leg that they stand in for.
        counts: How much that is.
        judgments_unknown: Judged queries that the log, a rule or the budget left out; they score 0.
        documents_key: Key of the collection, whatever the order or the files it came in.
        queries_key: Key of the chosen queries.
        judgments_key: Key of the judgments.
        coverage: Share of the log's traffic, robots and the drop list aside, that the chosen queries answer; None where
            people asked nothing.
        dropped: Rows and traffic of the log that were not kept, by reason.
        screened: Share of the log's traffic that robots sent or the drop list names.
        runs: What was read of run files that stand in for legs.
        account: What was taken for what, and what was left out.
        later_day: That near answers are tried on; None where they are off.
    """

    documents: Documents
    digests: DocumentDigests
    queries: Queries
    watched: Watched
    external_runs: Mapping[LegName, ExternalRun]
    counts: InputCounts
    judgments_unknown: int
    documents_key: str
    queries_key: str
    judgments_key: str
    coverage: float | None
    dropped: tuple[Dropped, ...]
    screened: float
    runs: tuple[RunRead, ...] = ()
    account: tuple[Entry, ...] = ()
    later_day: LaterDay | None = None

    @property
    def seed(self) -> int:
        """Of what is random where releases are compared: the same inputs give the same figures, run after run."""
        return int(fingerprint([self.documents_key, self.queries_key, self.judgments_key])[:8], 16)


@stage_task("read", retry=RETRIED)
def read_inputs(night: Night) -> InputsRead:
    """Read everything the user gave into the staging folder.

    Raises:
        InputError: A file is missing or unreadable, nothing usable is in it, or too many of its rows are bad.
    """
    night.scratch.folder.mkdir(parents=True, exist_ok=True)  # it is there where the stage is tried again
    documents, bad_rows = night.scratch.documents, night.files.bad_rows
    account = Account()
    judgments = judgments_of(night.settings.judgments, base=night.base, account=account)
    read: _DocumentsRead | None = None

    def read_documents_once() -> _DocumentsRead:
        nonlocal read
        if read is None:
            read = _read_documents(night, documents, bad, account)
        return read

    def refuse(conditions: Collection[str]) -> Mapping[str, str]:
        """Filters are held against the documents, which then must be read before the queries are chosen."""
        read_documents_once()
        return refused(conditions, read_column(documents.path, "metadata"))

    def ask_documents() -> Iterator[DocumentQuery]:
        """So must they where they are asked themselves."""
        read_documents_once()
        return queries_of_documents(documents.path, None if questions is None else questions.of)

    with (
        questions_of(night.settings.queries.questions, base=night.base, folder=night.workspace.memo) as questions,
        RowWriter(bad_rows.path, bad_rows.schema) as bad,
    ):
        judged_ids = {judgment.query_id for judgment in judgments}
        log = read_queries(
            _log_of(night), bad, judged=judged_ids, refuse=refuse, ask_documents=ask_documents, account=account
        )
        queries = night.files.queries.write(log.queries)
        night.files.coverage.write(log.curve)
        later_day = None if log.later_day is None else night.scratch.later_day.write(log.later_day)
        night.files.dropped.write(log.dropped)
        judged, unknown, judgments_key = _check_judgments(night.settings, judgments, log.queries)
        taken = read_documents_once()  # last, since a fault of the log is found sooner
        for reason in () if questions is None else questions.failed:
            account.add("queries", Kind.SKIPPED, f"questions of a model: {reason}")
    digests = night.files.documents
    copy_columns(documents.path, digests.path, columns=DIGESTS)
    _check_collection(night.settings, account.entries())
    _check_judged_documents(night.settings, judgments, digests, account, retracted=night.retracted)
    if unknown:
        account.add("judgments", Kind.UNKNOWN_ID, "queries", count=unknown)
    external_runs, runs = _read_runs(night, log.queries, digests, account)
    return InputsRead(
        documents=documents,
        digests=digests,
        queries=queries,
        watched=night.scratch.watched.write(log.watched),
        external_runs=external_runs,
        counts=InputCounts(
            documents=documents.row_count(),
            documents_bad=taken.bad,
            documents_retracted=taken.retracted,
            queries=log.queries.num_rows,
            queries_from_documents=int((~asked_by_people(log.queries)).sum()),
            queries_bad=log.bad,
            queries_judged=judged,
        ),
        judgments_unknown=unknown,
        documents_key=documents_digest(documents.path),
        queries_key=_queries_key(log.queries),
        judgments_key=judgments_key,
        coverage=log.coverage,
        dropped=tuple(Dropped(**row) for row in log.dropped.to_pylist()),
        screened=log.screened,
        runs=runs,
        account=account.entries(),
        later_day=later_day,
    )


def _log_of(night: Night) -> LogToRead:
    measured = None if night.before is None else night.before.pairs_per_second
    return LogToRead(night.settings, night.base, pairs_per_second=measured, answered=night.answered)


def _queries_key(queries: pa.Table) -> str:
    """The key of the chosen queries; that of people's, without filters, is what it was before there were others."""
    rows = queries.to_pylist()
    for row in rows:
        if row["filter"] is None:
            del row["filter"]
        if row["origin"] == "log":
            del row["origin"]
    return fingerprint(rows)


def _read_runs(
    night: Night, queries: pa.Table, digests: DocumentDigests, account: Account
) -> tuple[dict[LegName, ExternalRun], tuple[RunRead, ...]]:
    """The runs that stand in for legs, by leg, and what was read of each."""
    names = runs_of(night.settings.retrieval)
    document_ids = digests.read(["document_id"]).column(0) if names else None
    scratch = night.scratch
    files: dict[LegName, ExternalRun] = {
        "bm25": scratch.external_bm25,
        "dense": scratch.external_dense,
        "sparse": scratch.external_sparse,
    }
    external_runs: dict[LegName, ExternalRun] = {}
    runs = []
    for leg, name in names.items():
        path = night.base / name
        table, read = read_external_run(
            path, name=name, leg=leg, queries=queries, document_ids=document_ids, account=account
        )
        external_runs[leg] = files[leg].write(table)
        runs.append(read)
    return external_runs, tuple(runs)


def _check_judgments(settings: Settings, judgments: Sequence[Judgment], queries: pa.Table) -> tuple[int, int, str]:
    """How many judged queries the release holds, how many it does not, and the key of the judgments."""
    for name in settings.evaluation.measures:
        parse_measure(name)  # now, and not when everything has been computed
    judged = {judgment.query_id for judgment in judgments}
    logged = {key for row in queries.column("query_ids").to_pylist() for key in row}
    if judged and not judged & logged and settings.queries.log is None:
        message = f"{settings.judgments.qrels} judges queries, and no log says which queries these are."
        remedy = "Name a table of them as [queries].log, or leave [judgments].qrels out."
        raise InputError(message, remedy=f"{remedy} What documents ask is judged by its words, instead of an id.")
    if judged and not judged & logged:
        message = f"No query id of {settings.judgments.qrels} is among the queries of {settings.queries.log}."
        remedy = "Give both files the same query ids, or leave [judgments].qrels out."
        raise InputError(message, remedy=f"{remedy} Without ids in the log its queries are judged by their words.")
    kind = kind_of(judgments)
    told = "" if kind in (None, "people") else f"\t{kind}"  # people's have the key that they have always had
    rows = sorted(f"{judgment.query_id}\t{judgment.document_id}\t{judgment.grade}{told}" for judgment in judgments)
    return len(judged & logged), len(judged - logged), digest_of_sequence(rows)


def _check_collection(settings: Settings, entries: Sequence[Entry]) -> None:
    """Stop where no document has a text: the titles alone would be searched."""
    with_text, _ = characters_of(entries)
    if with_text or settings.documents.columns.text == "none":
        return
    kept = [entry.what for entry in entries if entry.part == "documents" and entry.kind is Kind.COLUMN_KEPT]
    found = f" Columns kept as metadata: {', '.join(kept[:COLUMNS_SHOWN])}." if kept else ""
    raise InputError(
        f"No document of {settings.documents.source} has a text; each is its title alone.{found}",
        remedy='Say in [documents.columns] which column is the text, or text = "none" where titles are all there is.',
    )


def _check_judged_documents(
    settings: Settings,
    judgments: Sequence[Judgment],
    digests: DocumentDigests,
    account: Account,
    *,
    retracted: Collection[str],
) -> None:
    """Count judged documents that are not in the collection, those taken down aside; stop where none is."""
    about = [judgment.document_id for judgment in judgments if judgment.document_id not in retracted]
    if not about:
        return
    documents = digests.read(["document_id"]).column(0)
    unknown = unknown_documents(about, documents)
    if unknown.count == unknown.of:
        raise InputError(
            f"No judged document of {settings.judgments.qrels} is in the collection: {unknown.example} is judged, and "
            f"{shown(documents[0].as_py())} is the id of a document{f'; {unknown.hint}' if unknown.hint else ''}.",
            remedy="Give both files the same document ids, or leave [judgments].qrels out.",
        )
    if unknown.count:
        hint = f" ({unknown.hint})" if unknown.hint else ""
        account.add("judgments", Kind.UNKNOWN_ID, f"documents{hint}", where=unknown.example, count=unknown.count)


class _DocumentsRead(NamedTuple):
    """Rows that were set aside, and documents that were left out because they were taken down."""

    bad: int
    retracted: int


def _read_documents(night: Night, settled: Documents, bad: RowWriter, account: Account) -> _DocumentsRead:
    """Read the documents, each once, but for those that were taken down."""
    settings, raw = night.settings.documents, night.scratch.raw_documents
    set_aside = SetAside()
    left_out: set[str] = set()

    def keep(row: BadRow) -> None:
        set_aside.add(row)
        bad.write(asdict(row))
        account.add_bad_row("documents", row.reason, where=f"{row.file}, row {row.row}")

    with RowWriter(raw.path, raw.schema) as documents:
        named = files_named(night.settings, base=night.base)
        read = read_documents(settings, base=night.base, account=account, named=named, keeping=night.keeping)
        for position, row in enumerate(read):
            if isinstance(row, BadRow):
                keep(row)
            elif row.document_id in night.retracted:
                if row.document_id not in left_out and row.text.strip():
                    account.add("documents", Kind.RETRACTED, WITH_TEXT)
                    account.add("documents", Kind.RETRACTED, CHARACTERS, count=len(row.text))
                left_out.add(row.document_id)
            else:
                documents.write(raw_row(row, position=position))
    for row in deduplicate_documents(raw.path, settled.path):
        keep(row)
    raw.path.unlink()
    tell_sizes(settled.path, account)
    set_aside.rows = settled.row_count() + set_aside.bad
    set_aside.refuse_too_many(
        name=settings.source,
        section="documents",
        share=settings.max_bad_row_share,
        allowed=settings.allowed_bad_rows,
    )
    return _DocumentsRead(set_aside.bad, len(left_out))

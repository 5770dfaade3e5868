"""The first stage: documents, queries and judgments are read, checked and settled; what is bad is set aside."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import RowWriter, copy_columns, read_column
from nightrank.storage.keys import digest_of_sequence, fingerprint
from nightrank.storage.records import BAD_ROWS, BadRow
from nightrank.storage.release.documents import DIGESTS, RAW_DOCUMENTS, deduplicate_documents, documents_digest, raw_row
from nightrank.tasks.evaluate.measures import parse_measure
from nightrank.tasks.filters.compile import refused
from nightrank.tasks.query_log.dropped import Dropped
from nightrank.tasks.query_log.select import read_queries
from nightrank.tasks.read.documents import read_documents
from nightrank.tasks.runtime.retries import retried
from nightrank.tasks.trec.leg import RunRead, read_external_run, runs_of
from nightrank.tasks.trec.qrels import judgments_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import pyarrow as pa

    from nightrank.storage.records import Judgment
    from nightrank.tasks.night import Night

BAD_ROWS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class InputsRead:
    """What was read, as counts and keys.

    Attributes:
        documents_key: Key of the collection, whatever the order or the files it came in.
        queries_key: Key of the chosen queries.
        judgments_key: Key of the judgments.
        judgments_unknown: Judged queries that the log, a rule or the budget left out; they score 0.
        coverage: Share of the log's traffic, robots and the drop list aside, that the chosen queries answer.
        dropped: Rows and traffic of the log that were not kept, by reason.
        runs: What was read of run files that stand in for legs.
        screened: Share of the log's traffic that robots sent or the drop list names.
    """

    documents: int
    documents_bad: int
    queries: int
    queries_bad: int
    queries_judged: int
    judgments_unknown: int
    documents_key: str
    queries_key: str
    judgments_key: str
    coverage: float
    dropped: tuple[Dropped, ...]
    screened: float
    runs: tuple[RunRead, ...] = ()

    @property
    def seed(self) -> int:
        """Of what is random where releases are compared: the same inputs give the same figures, run after run."""
        return int(fingerprint([self.documents_key, self.queries_key, self.judgments_key])[:8], 16)


@retried
@task(name="read", cache_policy=NO_CACHE)
def read_inputs(night: Night) -> InputsRead:
    """Read everything the user gave into the staging folder.

    Raises:
        InputError: A file is missing or unreadable, nothing usable is in it, or too many of its rows are bad.
    """
    night.scratch.folder.mkdir(parents=True, exist_ok=True)  # it is there where the stage is tried again
    judgments = judgments_of(night)
    documents_bad: int | None = None

    def refuse(conditions: Collection[str]) -> Mapping[str, str]:
        """Filters are held against the documents, which then must be read before the queries are chosen."""
        nonlocal documents_bad
        documents_bad = _read_documents(night, bad)
        return refused(conditions, read_column(night.scratch.documents.path, "metadata"))

    with RowWriter(night.files.bad_rows.path, BAD_ROWS) as bad:
        log = read_queries(night, bad, judged={judgment.query_id for judgment in judgments}, refuse=refuse)
        judged, unknown, judgments_key = _check_judgments(night, judgments)
        if documents_bad is None:  # last, since a fault of the log is found sooner
            documents_bad = _read_documents(night, bad)
    queries = night.files.queries.read()
    return InputsRead(
        documents=night.scratch.documents.row_count(),
        documents_bad=documents_bad,
        queries=queries.num_rows,
        queries_bad=log.bad,
        queries_judged=judged,
        judgments_unknown=unknown,
        documents_key=documents_digest(night.scratch.documents.path),
        queries_key=_queries_key(queries),
        judgments_key=judgments_key,
        coverage=log.coverage,
        dropped=tuple(Dropped(**row) for row in night.files.dropped.read().to_pylist()),
        screened=log.screened,
        runs=tuple(_read_runs(night, queries)),
    )


def _queries_key(queries: pa.Table) -> str:
    """The key of the chosen queries; that of queries without filters is what it was before there were any."""
    rows = queries.to_pylist()
    for row in rows:
        if row["filter"] is None:
            del row["filter"]
    return fingerprint(rows)


def _read_runs(night: Night, queries: pa.Table) -> Iterator[RunRead]:
    runs = runs_of(night.settings.retrieval)
    document_ids = night.files.documents.read(["document_id"]).column(0) if runs else None
    for leg, name in runs.items():
        path = night.base / name
        table, read = read_external_run(path, name=name, leg=leg, queries=queries, document_ids=document_ids)
        night.external_run(leg).write(table)
        yield read


def _check_judgments(night: Night, judgments: Sequence[Judgment]) -> tuple[int, int, str]:
    """How many judged queries the release holds, how many it does not, and the key of the judgments."""
    for name in night.settings.evaluation.measures:
        parse_measure(name)  # now, and not when everything has been computed
    judged = {judgment.query_id for judgment in judgments}
    logged = {key for row in night.files.queries.read(["query_ids"]).column(0).to_pylist() for key in row}
    if judged and not judged & logged:
        message = (
            f"No query id of {night.settings.judgments.qrels} is among the queries of {night.settings.queries.log}."
        )
        raise InputError(message, remedy="Give both files the same query ids, or leave [judgments].qrels out.")
    rows = sorted(f"{judgment.query_id}\t{judgment.document_id}\t{judgment.grade}" for judgment in judgments)
    return len(judged & logged), len(judged - logged), digest_of_sequence(rows)


def _read_documents(night: Night, bad: RowWriter) -> int:
    settings = night.settings.documents
    raw = night.scratch.raw_documents.path
    shown: list[BadRow] = []
    bad_count = 0

    def set_aside(row: BadRow) -> None:
        nonlocal bad_count
        bad_count += 1
        bad.write(asdict(row))
        if len(shown) < BAD_ROWS_SHOWN:
            shown.append(row)

    with RowWriter(raw, RAW_DOCUMENTS) as documents:
        for position, row in enumerate(read_documents(settings, base=night.base)):
            if isinstance(row, BadRow):
                set_aside(row)
            else:
                documents.write(raw_row(row, position=position))
    for row in deduplicate_documents(raw, night.scratch.documents.path):
        set_aside(row)
    raw.unlink()
    good_count = night.scratch.documents.row_count()
    total = good_count + bad_count
    if good_count == 0 or bad_count > settings.max_bad_row_share * total:
        listed = "; ".join(_where(row) for row in shown)
        message = (
            f"{bad_count} of {total} rows of {settings.source} cannot be used, "
            f"more than documents.max_bad_row_share = {settings.max_bad_row_share:g} allows: {listed or 'it is empty'}."
        )
        raise InputError(message, remedy="Mend these rows, or raise `max_bad_row_share` to go on without them.")
    copy_columns(night.scratch.documents.path, night.files.documents.path, columns=DIGESTS)
    return bad_count


def _where(row: BadRow) -> str:
    return f"{row.file}, row {row.row}: {row.reason}"

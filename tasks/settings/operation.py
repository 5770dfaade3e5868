"""Settings of where and when it runs, what is kept, who is notified, where releases go."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nightrank.tasks.settings.section import Section, Switchable


class RetentionSettings(Section):
    """``[retention]``: what `prune` keeps; never part of a fingerprint."""

    keep: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="Accepted releases that `prune` keeps: the current one, those that were live before it, "
        "the newest others.",
    )


Cron = Switchable[Annotated[str, Field(pattern=r"^\S+( +\S+){4}$")]]


class ScheduleSettings(Section):
    """``[schedule]``: when ``nightrank schedule`` runs what; never part of a fingerprint."""

    refresh: Cron = Field(
        default="0 2 * * *",
        description="Cron of `refresh`, for `nightrank schedule`: five fields, such as `0 2 * * *`; `none`: on demand.",
    )
    evaluate: Cron = Field(default=None, description="Cron of the evaluation of what is live, or `none`.")
    prune: Cron = Field(default=None, description="Cron of `prune`, or `none`; each refresh prunes too.")
    timezone: str = Field(
        default="UTC",
        min_length=1,
        description="Time zone of the crons: a name of the IANA database, such as Europe/Berlin.",
    )
    on_change: bool = Field(
        default=False,
        description="Whether `nightrank schedule` watches the documents, too, and has a refresh begun after changes, "
        "beside the cron. Log and judgments are read with it, and start none.",
    )
    quiet_seconds: float = Field(
        default=60.0, ge=0.1, le=86_400.0, description="How long no document may change before that begins."
    )
    max_wait_seconds: float = Field(
        default=900.0,
        ge=0.1,
        le=604_800.0,
        description="How long a change waits at most, however often others follow it.",
    )
    poll_seconds: float = Field(
        default=30.0,
        ge=0.1,
        le=86_400.0,
        description="How often the documents are listed where no file system event tells of changes, as on network "
        "drives; where events do, a tenth as often.",
    )

    @model_validator(mode="after")
    def _waits_long_enough(self) -> Self:
        if self.max_wait_seconds < self.quiet_seconds:
            message = "max_wait_seconds must be quiet_seconds or more"
            raise ValueError(message)
        return self


class NotifySettings(Section):
    """``[notify]``: who is notified of what went wrong; never part of a fingerprint."""

    blocks: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")], ...], Field(strict=False)] = (
        Field(
            default=(),
            description="Prefect's notification blocks, as type/name (such as `slack-webhook/ops`), notified when "
            "a gate rejects a release, or a flow fails, crashes or is cancelled.",
        )
    )


class ExportSettings(Section):
    """``[export]``: where each published release is served from besides the workspace; never part of a fingerprint."""

    to: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)] = Field(
        default=(),
        repr=False,
        description="Where each published release is exported to: files (.sqlite, .parquet; relative "
        "to the settings file), redis://, rediss://, valkey://, unix://, postgresql://. In place of a password, "
        "`${NAME}` stands for a variable of the environment. An export that fails undoes no release; the next "
        "refresh tries again.",
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
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto, cpu, mps, cuda or cuda:N: of models, and of the dense leg's products where they are many.",
    )
    runner: Literal["local", "dask", "ray"] = Field(
        default="local",
        description="Who embeds, scores and retrieves what is more than one shard: `local`, this process; or workers "
        "of `dask` or `ray`, each of which needs the extra of its name.",
    )
    runner_address: str | None = Field(
        default=None,
        min_length=1,
        description="Of a cluster that runs already: `tcp://host:8786` of Dask, `ray://host:10001` or `auto` of Ray. "
        "Default: a refresh that has a shard starts one on its machine and stops it.",
    )
    workers: int = Field(default=2, ge=1, le=1024, description="Processes of a cluster that a refresh starts.")
    worker_devices: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d+)?)$")], ...], Field(max_length=64, strict=False)
    ] = Field(
        default=(),
        description="Devices of the workers. Several, such as `cuda:0` and `cuda:1`, are for `local`, which then "
        "computes a shard on each at a time. Default: `device`.",
    )
    shard_texts: int = Field(
        default=4096,
        ge=1,
        le=1_000_000,
        description="Texts of a shard. Fewer are embedded by the refresh itself.",
    )
    shard_pairs: int = Field(
        default=16_384,
        ge=1,
        le=1_000_000,
        description="Pairs of a shard. Fewer are scored by the refresh itself.",
    )
    shard_scores: int = Field(
        default=10_000_000_000,
        ge=1,
        le=1_000_000_000_000_000,
        description="Scores of a shard of the first stage, of a query and a chunk each: so many queries meet a range "
        "of so many chunks. Fewer are computed by the refresh itself.",
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
        description="Tokens of a model batch, padding counted, on GPUs and in OpenVINO; halved when a GPU is out of "
        "memory. On CPUs torch computes every text by itself. Default: 4096; 65536 on CUDA devices.",
    )
    threads: int | None = Field(
        default=None, ge=1, le=1024, description="CPU threads; default: what torch or OpenVINO would take."
    )


class StorageSettings(Section):
    """``[storage]``: how a workspace in an object store is reached; never part of a fingerprint."""

    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$",
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
        description="How long a writer that has gone silent keeps others out.",
    )

"""The settings of every stage: one frozen model a section of the settings file.

They stand together and import nothing heavy, because a cached look-up reads them too and must start in
a fraction of a second. *What* is computed is in the fingerprint of a release; *where* it runs and is kept
(``execution``, ``workspace``, ``storage``), when (``schedule``), how it is watched (``gates``, ``drift_check``,
``notify``), how long it stays (``retention``) and how it is served (``export``, ``serve``) never are.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from nightrank.storage.legs import LEGS
from nightrank.tasks.settings.chat import JudgeSettings
from nightrank.tasks.settings.index import Bm25Settings, ChunkingSettings, EmbedderSettings, SparseSettings
from nightrank.tasks.settings.inputs import DocumentsSettings, JudgmentsSettings, QueriesSettings
from nightrank.tasks.settings.near import NearSettings
from nightrank.tasks.settings.operation import (
    ExecutionSettings,
    ExportSettings,
    NotifySettings,
    RetentionSettings,
    ScheduleSettings,
    StorageSettings,
)
from nightrank.tasks.settings.quality import DriftCheckSettings, EvaluationSettings, GatesSettings
from nightrank.tasks.settings.ranking import RerankerSettings, ResultsSettings, RetrievalSettings
from nightrank.tasks.settings.section import Section
from nightrank.tasks.settings.serving import ServeSettings


class Settings(Section):
    """The whole settings file."""

    workspace: str = Field(
        default="workspace",
        min_length=1,
        description="Folder of all state, relative to the settings file, or an address such as `s3://bucket/prefix`.",
    )
    storage: StorageSettings = StorageSettings()
    documents: DocumentsSettings
    queries: QueriesSettings = QueriesSettings()
    judgments: JudgmentsSettings = JudgmentsSettings()
    judge: JudgeSettings = JudgeSettings()
    chunking: ChunkingSettings = ChunkingSettings()
    embedder: EmbedderSettings = EmbedderSettings()
    sparse: SparseSettings = SparseSettings()
    bm25: Bm25Settings = Bm25Settings()
    retrieval: RetrievalSettings = RetrievalSettings()
    reranker: RerankerSettings = RerankerSettings()
    results: ResultsSettings = ResultsSettings()
    near: NearSettings = NearSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    gates: GatesSettings = GatesSettings()
    drift_check: DriftCheckSettings = DriftCheckSettings()
    retention: RetentionSettings = RetentionSettings()
    export: ExportSettings = ExportSettings()
    serve: ServeSettings = ServeSettings()
    execution: ExecutionSettings = ExecutionSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    notify: NotifySettings = NotifySettings()

    @field_validator("results")
    @classmethod
    def _says_what_orders(cls, results: ResultsSettings, info: ValidationInfo) -> ResultsSettings:
        reranker, retrieval = info.data.get("reranker"), info.data.get("retrieval")
        weighed = (reranker is not None and reranker.weight is not None) or (
            retrieval is not None and retrieval.is_weighted
        )
        if results.order is None and results.order_model is not None and weighed:
            message = "there are an order_model and plain weights; say with order which of them orders"
            raise ValueError(message)
        return results

    @field_validator("near")
    @classmethod
    def _has_legs_for_pools(cls, near: NearSettings, info: ValidationInfo) -> NearSettings:
        retrieval = info.data.get("retrieval")
        if retrieval is not None and "same_pool" in near.tiers and not retrieval.can_pool:
            message = (
                "the tier same_pool needs the legs bm25 and dense, or dense alone, and none of them from a run file; "
                "leave it out, or set [retrieval].legs"
            )
            raise ValueError(message)
        return near

    @property
    def order(self) -> Literal["learned", "weighted"]:
        """The final order that is asked for: the learned one, unless plain weights are given."""
        if self.results.order is not None:
            return self.results.order
        return "weighted" if self.reranker.weight is not None or self.retrieval.is_weighted else "learned"

    def what(self) -> dict[str, object]:
        """What is computed: everything that decides a release, and nothing of where it runs or how long it stays."""
        value = self.model_dump(
            mode="json",
            exclude={
                "workspace": True,
                "storage": True,
                "judge": True,
                "gates": True,
                "drift_check": True,
                "retention": True,
                "export": True,
                "serve": True,
                "execution": True,
                "schedule": True,
                "notify": True,
                "documents": {
                    *("source", "query", "cursor", "max_query_seconds", "store", "include", "exclude"),
                    "allowed_bad_rows",
                },
                "retrieval": {f"{leg}_run" for leg in LEGS},
                "queries": {"log", "drop_list", "questions", "pairs_per_second", "allowed_bad_rows"},
                "evaluation": {"timed_queries"},
                "results": {"order_model"},  # its numbers are in the fingerprint of the order
                "reranker": {"hosted"},  # what of it decides scores is in the reranker's fingerprint
            },
        )
        if not self.near.is_on:
            del value["near"]  # as if there were no such section
        value["judgments"] = {"ignore_identical_ids": self.judgments.ignore_identical_ids}
        if self.judgments.known_items != "auto":
            value["judgments"]["known_items"] = self.judgments.known_items
        return value

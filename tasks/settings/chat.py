"""Settings of language models that are asked over HTTP: one that judges, one that asks questions of documents."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nightrank.tasks.settings.endpoint import EndpointSettings
from nightrank.tasks.settings.section import Switchable


class ChatSettings(EndpointSettings):
    """A language model behind an OpenAI-compatible API."""

    url: str | None = Field(
        default=None,
        min_length=1,
        description="Where the API is, to its version: `https://api.openai.com/v1`, `http://localhost:8000/v1`. "
        "`/chat/completions` is asked below it.",
    )
    model: str | None = Field(default=None, min_length=1, description="The name that the API knows the model by.")
    revision: str | None = Field(
        default=None, min_length=1, description="Any word: with another, everything is asked anew."
    )
    prompt: str | None = Field(
        default=None,
        min_length=1,
        description="File of the instructions, in place of our own. Relative to the settings file.",
    )
    max_requests: int = Field(
        default=1_000,
        ge=1,
        le=10**7,
        description="Requests that a run may pay for; what failed and may have been billed counts. The rest waits for "
        "the next run.",
    )
    concurrency: int = Field(default=4, ge=1, le=64, description="Requests that are under way at once.")
    max_characters: int = Field(
        default=6_000, ge=200, le=1_000_000, description="Of a document's text that the model is shown."
    )
    temperature: Switchable[Annotated[float, Field(ge=0.0, le=2.0)]] = Field(
        default=0.0, description="`none`: not said, for models that refuse it."
    )
    max_tokens: Switchable[Annotated[int, Field(ge=1, le=1_000_000)]] = Field(
        default=None, description="Tokens of an answer at most, sent as `max_tokens`. `none`: not said."
    )


class JudgeSettings(ChatSettings):
    """``[judge]``: judgments by people and by a model (`nightrank judge`)."""

    folder: str = Field(
        default="judgments",
        min_length=1,
        description="Folder of what people and models judged. Relative to the settings file.",
    )
    depth: int | None = Field(
        default=None,
        ge=1,
        le=1_000,
        description="Results of each stage that are judged. Default: as many as `[gates].measure` counts.",
    )
    min_queries: int = Field(
        default=50,
        ge=1,
        le=100_000,
        description="Queries that people judged, too, before the model's agreement with them says anything.",
    )
    min_kappa: float = Field(
        default=0.4,
        ge=-1.0,
        le=1.0,
        description="Weighted kappa with people that the model's judgments need for gates to rest on them.",
    )
    min_tau: float = Field(
        default=0.6,
        ge=-1.0,
        le=1.0,
        description="Kendall's tau, likewise, between the orders in which both put the stages.",
    )


class QuestionsSettings(ChatSettings):
    """``[queries.questions]``: questions that a model asks of documents, beside titles and key phrases."""

    per_document: int = Field(default=2, ge=1, le=10, description="Questions of a document, asked in one request.")

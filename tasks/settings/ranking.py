"""Settings of the ranking: candidates, reranker, results."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from nightrank.storage.legs import LEGS, LegName
from nightrank.tasks.settings.endpoint import EndpointSettings
from nightrank.tasks.settings.section import OFF, Section, Sha256, Switchable


class LegWeights(Section):
    """``[retrieval.weights]``: how much each leg counts, in fusion and in the final order: parts of whatever sum.

    Where one of the legs that are on has a weight here, all of them must; those that are off do not count.
    """

    bm25: float = Field(default=1.0, ge=0.0, le=1000.0, description="Weight of the BM25 leg.")
    dense: float = Field(default=1.0, ge=0.0, le=1000.0, description="Weight of the dense leg.")
    sparse: float = Field(default=1.0, ge=0.0, le=1000.0, description="Weight of the learned sparse leg.")


class RetrievalSettings(Section):
    """``[retrieval]``: candidates of all legs, fused."""

    legs: Annotated[tuple[LegName, ...], Field(min_length=1, strict=False)] = Field(
        default=("bm25", "dense"),
        description="The retrievers of the first stage, in any order: `bm25`, `dense` (the embedder's), `sparse` "
        "(learned sparse, by the model of [sparse]).",
    )
    candidate_depth: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Candidates a query: documents, each by its best chunk; chunks where `results.unit` is `chunk`. "
        "Each leg goes so deep, and the fused ranking is cut there.",
    )
    chunks_per_document: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Chunks that stand for a document, and are reranked: the best one of the leg that ranks it "
        "highest, then of the other legs. The one that comes out best decides. Not used where `results.unit` is "
        "`chunk`.",
    )
    fusion: Literal["rrf", "minmax"] = Field(
        default="rrf", description="`rrf`: reciprocal rank fusion; `minmax`: weighted sum of min-max scaled scores."
    )
    rrf_k: int = Field(default=60, ge=1, le=1000, description="Constant of reciprocal rank fusion.")
    weights: LegWeights = Field(default=LegWeights(), description="How much each leg counts; equal parts by default.")
    bm25_run: str | None = Field(
        default=None,
        min_length=1,
        description="TREC run file (gzipped or not) that stands in for the BM25 leg: another engine's first stage, by "
        "the log's query ids. Relative to the settings file.",
    )
    dense_run: str | None = Field(
        default=None, min_length=1, description="The same in place of the dense leg. Relative to the settings file."
    )
    sparse_run: str | None = Field(
        default=None, min_length=1, description="The same in place of the sparse leg. Relative to the settings file."
    )

    @field_validator("legs")
    @classmethod
    def _in_order(cls, legs: tuple[LegName, ...]) -> tuple[LegName, ...]:
        """The legs in the order that they have everywhere: the one in which they are written says nothing."""
        twice = sorted({leg for leg in legs if legs.count(leg) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is named twice")
        return tuple(leg for leg in LEGS if leg in legs)

    @field_validator("weights")
    @classmethod
    def _of_all_legs(cls, weights: LegWeights, info: ValidationInfo) -> LegWeights:
        """Weights that leave a leg out would count it for a part that nobody chose."""
        legs: tuple[LegName, ...] = info.data.get("legs", ())
        missing = [leg for leg in legs if leg not in weights.model_fields_set]
        if weights.model_fields_set and missing:
            raise ValueError(f"of the legs that are on, {', '.join(missing)} has no weight")
        if legs and not any(getattr(weights, leg) for leg in legs):
            raise ValueError("the weights of the legs that are on are all 0")
        return weights

    @field_validator(*(f"{leg}_run" for leg in LEGS))
    @classmethod
    def _of_a_leg_that_is_on(cls, name: str | None, info: ValidationInfo) -> str | None:
        leg = str(info.field_name).removesuffix("_run")
        if name is not None and leg not in info.data.get("legs", LEGS):
            raise ValueError(f"it stands in for the {leg} leg, which `legs` does not name")
        return name

    @property
    def own_legs(self) -> tuple[LegName, ...]:
        """The legs that are on and that a refresh retrieves itself.

        Beside a run for one of the other two our own leg is kept up; a sparse run stands alone, without any model.
        """
        return tuple(leg for leg in self.legs if leg != "sparse" or self.sparse_run is None)

    @property
    def can_pool(self) -> bool:
        """Whether candidates of other queries can be rescored: a dense leg, at most BM25 beside it, both our own."""
        is_own = self.bm25_run is None and self.dense_run is None
        return "dense" in self.legs and "sparse" not in self.legs and is_own

    @property
    def leg_weights(self) -> dict[LegName, float]:
        """The weight of each leg that is on, in the order of ``LEGS``; they sum to 1."""
        parts: dict[LegName, float] = {leg: getattr(self.weights, leg) for leg in self.legs}
        whole = sum(parts.values())
        return {leg: part / whole for leg, part in parts.items()}

    @property
    def is_weighted(self) -> bool:
        """Whether some leg that is on is to count more than another."""
        return len({getattr(self.weights, leg) for leg in self.legs}) > 1


NOT_HOSTED = OFF  # the value of ``api`` with which the model runs here


class HostedSettings(EndpointSettings):
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
    corpus: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_=-]+$",
        description="`vectara`: key of the corpus that passages are put into, because Vectara reranks nothing else.",
    )
    max_pairs: int = Field(
        default=100_000,
        ge=1,
        le=10**9,
        description="Pairs that a refresh may pay for. The others wait for the next refresh.",
    )
    max_searches: Switchable[Annotated[int, Field(ge=1, le=10**9)]] = Field(
        default=None,
        description="The same in searches, as they are billed: what the answer says, else one for each request, and "
        "for each 100 pairs of it with `cohere`. `none`: no such limit.",
    )
    pairs_per_request: int | None = Field(
        default=None, ge=1, le=10_000, description="Default: what the API recommends or allows (100; 32 with `tei`)."
    )


class RerankerSettings(Section):
    """``[reranker]``: the cross-encoder."""

    model: str = Field(
        default="nightrank-minilm",
        min_length=1,
        description="`nightrank-minilm` (packaged), a folder, a hub id, the name that a hosted API knows it by, or "
        '"none": the legs alone are ordered.',
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
    prompt: str | None = Field(
        default=None,
        max_length=10_000,
        description="What a reranker that runs here is told with each pair, such as `Given a web search query, "
        "retrieve relevant passages that answer the query`: the system's message of the model's chat template, or what "
        "is put before the query where it has none. Default: the model's own; empty: nothing.",
    )
    depth: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Candidates a query that are reranked: documents, or chunks where `results.unit` is `chunk`.",
    )
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

    order: Literal["learned", "weighted"] | None = Field(
        default=None,
        description="`learned`: a small model weighs legs and reranker query by query, by how clear each is and how "
        "far they agree; `weighted`: by `[reranker].weight` and `[retrieval.weights]`, with a reranker; the fused "
        "order without one. Default: `learned`, unless one of these is set.",
    )
    order_model: str | None = Field(
        default=None,
        min_length=1,
        description="File of the learned order, relative to the settings file, as `nightrank tune --write` makes it. "
        "Default: the packaged one.",
    )
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
    near_duplicate: Switchable[Annotated[float, Field(gt=0.0, le=1.0)]] = Field(
        default=None,
        description="Cosine with a result above from which on an entry is left out; the results may then be fewer than "
        "`depth`. `none`: none is left out.",
    )
    snippet_characters: Switchable[Annotated[int, Field(ge=40, le=2_000)]] = Field(
        default=240,
        description="Characters of a result's snippet at most: the sentences of its text that answer the query best, "
        "with what to highlight. `none`: no snippets.",
    )
    suggestions: bool = Field(
        default=True,
        description="Whether a release holds its queries as completions of what is being typed, those most in demand "
        "first.",
    )

    @property
    def diversifies(self) -> bool:
        """Whether results differ from the first entries of the final order."""
        return self.mmr_lambda < 1.0 or self.near_duplicate is not None

    def undiversified(self) -> ResultsSettings:
        """The same, with the first entries of the final order as the results."""
        return self.model_copy(update={"mmr_lambda": 1.0, "near_duplicate": None})

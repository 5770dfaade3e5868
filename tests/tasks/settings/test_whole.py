from __future__ import annotations

import json

import pytest
from pydantic import BaseModel, ValidationError

from nightrank.storage.keys import fingerprint
from nightrank.tasks.settings.section import Section
from nightrank.tasks.settings.whole import Settings

LEAST: dict[str, dict[str, object]] = {"documents": {"source": "corpus.jsonl"}, "queries": {"log": "queries.jsonl"}}


def settings(**sections: dict[str, object]) -> Settings:
    return Settings.model_validate({name: LEAST.get(name, {}) | sections.get(name, {}) for name in {*LEAST, *sections}})


def sections() -> list[type[BaseModel]]:
    return [
        field.annotation
        for field in Settings.model_fields.values()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    ]


def test_the_defaults_are_those_of_the_contract() -> None:
    made = settings()
    assert made.workspace == "workspace"
    assert (made.documents.max_bad_row_share, made.queries.budget, made.judgments.qrels) == (0.01, 10_000, None)
    assert (made.chunking.max_tokens, made.embedder.model) == (256, "sentence-transformers/all-MiniLM-L6-v2")
    bm25 = made.bm25
    assert (bm25.variant, bm25.k1, bm25.b, bm25.language) == ("lucene", 1.2, 0.75, "auto")
    assert (made.retrieval.candidate_depth, made.retrieval.fusion) == (100, "rrf")
    assert (made.reranker.model, made.reranker.depth, made.reranker.weight) == ("nightrank-minilm", 100, None)
    assert (made.results.depth, made.results.unit, made.results.mmr_lambda) == (10, "document", 1.0)
    assert (made.execution.device, made.execution.runner) == ("auto", "local")


@pytest.mark.parametrize(
    "change",
    [
        {"chunking": {"max_tokens": 128}},
        {"embedder": {"query_prompt": "query: "}},
        {"bm25": {"k1": 0.9}},
        {"retrieval": {"fusion": "minmax"}},
        {"reranker": {"weight": 0.25}},
        {"results": {"depth": 5}},
        {"queries": {"budget": 5}},
        {"queries": {"merge": "exact"}},
        {"queries": {"half_life_days": 30.0}},
        {"queries": {"min_users": 5}},
        {"judgments": {"ignore_identical_ids": True}},
        {"documents": {"max_document_bytes": 5000}},
    ],
)
def test_what_is_computed_changes_the_fingerprint(change: dict[str, dict[str, object]]) -> None:
    assert fingerprint(settings(**change).what()) != fingerprint(settings().what())


@pytest.mark.parametrize(
    "change",
    [
        {"execution": {"device": "cuda:1", "batch_tokens": 64, "threads": 2}},
        {"retention": {"keep": 1}},
        {"documents": {"source": "elsewhere"}},
        {"queries": {"log": "elsewhere"}},
        {"queries": {"drop_list": "elsewhere", "pairs_per_second": 7.0}},
        {"judgments": {"qrels": "elsewhere"}},
    ],
)
def test_where_it_runs_and_lies_does_not(change: dict[str, dict[str, object]]) -> None:
    assert settings(**change).what() == settings().what()


def test_the_workspace_is_no_part_of_what_is_computed() -> None:
    assert Settings.model_validate({**LEAST, "workspace": "w"}).what() == settings().what()
    assert not {"execution", "workspace"} & set(settings().what())


def test_what_is_computed_is_plain_json() -> None:
    assert json.loads(json.dumps(settings().what())) == settings().what()


@pytest.mark.parametrize("section", [Settings, *sections()])
def test_every_section_is_frozen_and_refuses_unknown_keys(section: type[BaseModel]) -> None:
    assert issubclass(section, Section)
    assert section.model_config["frozen"] is True
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        section.model_validate({"unheard_of": 1})


@pytest.mark.parametrize("section", sections())
def test_every_key_says_what_it_is_for(section: type[BaseModel]) -> None:
    assert all(field.description for field in section.model_fields.values())


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        settings().bm25.k1 = 2.0  # type: ignore[misc]  # that it is refused is the point

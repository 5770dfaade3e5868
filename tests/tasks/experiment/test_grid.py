from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.experiment.grid import require_names_of_the_api
from nightrank.tasks.experiment.variants import varied
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from pathlib import Path


def settings(api: str) -> Settings:
    reranker = {"model": "rerank-v3.5", "hosted": {"api": api}}
    return Settings.model_validate({"documents": {"source": "a"}, "queries": {"log": "b"}, "reranker": reranker})


@pytest.mark.parametrize("model", ["nightrank-minilm", "models/mine"])
def test_a_hosted_api_is_not_asked_for_a_model_that_is_here(tmp_path: Path, model: str) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    hosted, local = settings("cohere"), settings("none")
    with pytest.raises(InputError, match=f"'{model}' is a model that runs here, and 'cohere' would") as refused:
        require_names_of_the_api(hosted, [hosted, varied(hosted, {"reranker.model": model})], base=tmp_path)
    assert "--baseline other.toml" in refused.value.remedy
    require_names_of_the_api(local, [local, varied(local, {"reranker.model": model})], base=tmp_path)


@pytest.mark.parametrize("model", ["rerank-v3.5", "rerank-v4.0", "none"])
def test_a_grid_may_name_models_of_the_api_and_no_reranker(tmp_path: Path, model: str) -> None:
    hosted = settings("cohere")
    require_names_of_the_api(hosted, [varied(hosted, {"reranker.model": model})], base=tmp_path)

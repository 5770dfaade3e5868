from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.experiment.variants import differences, read_grid, require_variant, varied
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue

SETTINGS = Settings.model_validate({"documents": {"source": "a"}, "queries": {"log": "b"}})


def test_a_grid_is_the_product_of_its_axes_with_values_of_tomls_types() -> None:
    grid = read_grid(["retrieval.fusion = rrf, minmax", 'reranker.model="none",a/b', "bm25.k1=0.5,1"])

    assert len(grid) == 8
    assert grid[0] == {"retrieval.fusion": "rrf", "reranker.model": "none", "bm25.k1": 0.5}
    assert grid[-1] == {"retrieval.fusion": "minmax", "reranker.model": "a/b", "bm25.k1": 1}
    assert read_grid([]) == []


def test_a_list_is_one_value_and_the_weight_of_a_leg_one_axis() -> None:
    axes = ['retrieval.legs=["bm25"],["bm25","dense"],["bm25"]', "retrieval.weights.dense=0,2"]
    grid = read_grid(axes)
    assert [one["retrieval.legs"] for one in grid] == [["bm25"], ["bm25"], ["bm25", "dense"], ["bm25", "dense"]]
    weights = [varied(SETTINGS, one).retrieval.leg_weights for one in grid]
    assert weights == [{"bm25": 1.0}, {"bm25": 1.0}, {"bm25": 1.0, "dense": 0.0}, {"bm25": 1 / 3, "dense": 2 / 3}]


def test_the_weight_of_a_field_is_one_axis() -> None:
    grid = read_grid(["bm25.fields.title=1,2.5", "bm25.fields.text=1"])
    assert [varied(SETTINGS, one).bm25.fields.title for one in grid] == [1.0, 2.5]
    assert differences(SETTINGS, varied(SETTINGS, grid[0])) == {}


def test_a_value_that_is_given_twice_is_one_variant() -> None:
    assert read_grid(["retrieval.rrf_k=60,60"]) == [{"retrieval.rrf_k": 60}]


@pytest.mark.parametrize(
    ("axes", "says", "remedy"),
    [
        (["retrieval.fusion"], "names no values", "KEY=V1,V2"),
        (["retrieval.fusion="], "names no values", "KEY=V1,V2"),
        (["retrieval.fusoin=rrf"], "'retrieval.fusoin' is not a setting", "retrieval.fusion"),
        (["fusion=rrf"], "'fusion' is not a setting", "retrieval.fusion"),
        (["chunking.max_tokens=64"], "other chunks", "--baseline other.toml"),
        (["embedder.model=x"], "other chunks, vectors", "`workspace` of its own"),
        (["documents.source=x"], "other chunks", "--baseline"),
        (["bm25.language=german"], "terms", "--baseline"),
        (["reranker.hosted=cohere"], "a whole section", "--baseline other.toml"),
        (["retrieval.weights=1"], "a whole table", "retrieval.weights.dense"),
        (["bm25.fields=1"], "a whole table", "bm25.fields.title"),
        (["bm25.fields.titel=1"], "is not a setting", "bm25.fields.title"),
        (["retrieval.weights.dens=1"], "is not a setting", "retrieval.weights.dense"),
        (["execution.threads=1"], "decides no ranking", "May vary"),
        (["bm25.k1=1", "bm25.k1=2"], "is given twice", "at once"),
        (["bm25.k1=1]\nx=[2"], "plain numbers", "KEY=V1,V2"),
        (["bm25.k1=[1]"], "plain numbers", "KEY=V1,V2"),
        (["bm25.k1=$(x)"], "is not a value", "as in the settings file"),
        (["retrieval.rrf_k=" + ",".join(map(str, range(1, 102))), "bm25.b=0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,1"],
         "1,010 variants", "fewer"),
    ],
)  # fmt: skip
def test_an_axis_that_cannot_be_run_is_the_users_mistake(axes: list[str], says: str, remedy: str) -> None:
    with pytest.raises(InputError) as refused:
        read_grid(axes)

    assert says in refused.value.message
    assert remedy in refused.value.remedy


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"retrieval.rrf_k": 0}, "retrieval.rrf_k = 0 is wrong"),
        ({"retrieval.rrf_k": 1.5}, "retrieval.rrf_k = 1.5 is wrong"),
        ({"retrieval.fusion": "both"}, "retrieval.fusion = 'both' is wrong"),
        ({"bm25.k1": True}, "bm25.k1 = True is wrong"),
        ({"bm25.fields.title": 1.1}, "bm25.fields.title = 1.1 is wrong"),
    ],
)
def test_values_have_the_bounds_of_the_settings_file(values: dict[str, str | float | bool], says: str) -> None:
    with pytest.raises(InputError) as refused:
        varied(SETTINGS, dict(values))

    assert says in refused.value.message


def test_a_variant_differs_in_what_was_changed_and_nothing_else() -> None:
    changes: dict[str, JsonValue] = {"retrieval.fusion": "minmax", "bm25.k1": 2.0}

    assert differences(SETTINGS, varied(SETTINGS, changes)) == changes
    assert differences(SETTINGS, varied(SETTINGS, {"bm25.k1": SETTINGS.bm25.k1})) == {}


def test_settings_that_would_read_other_documents_are_no_variant() -> None:
    other = Settings.model_validate({"documents": {"source": "c"}, "queries": {"log": "b"}, "bm25": {"k1": 2.0}})

    with pytest.raises(InputError, match=r"other\.toml differs in documents\.source,"):
        require_variant(SETTINGS, other, name="other.toml")
    require_variant(SETTINGS, varied(SETTINGS, {"bm25.k1": 2.0}), name="other.toml")

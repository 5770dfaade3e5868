from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.rank.learned import FEATURES, log_means
from nightrank.tasks.rank.lists import Lists
from nightrank.tasks.rank.order_file import (
    PACKAGED,
    learned_order,
    order_file,
    order_fingerprint,
    order_of_release,
    read_order,
)
from nightrank.tasks.settings.whole import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from nightrank.storage.release.manifest import Manifest


def settings(**results: str) -> Settings:
    return Settings.model_validate(
        {"documents": {"source": "corpus.jsonl"}, "queries": {"log": "log.jsonl"}, "results": results}
    )


def damaged(path: Path, **changes: JsonValue) -> Path:
    path.write_text(json.dumps(json.loads(PACKAGED.read_text()) | changes))
    return path


def test_the_packaged_order_is_read_and_has_a_card() -> None:
    assert read_order().reranker == "nightrank-minilm"
    card = json.loads(PACKAGED.read_text())["card"]
    assert {"made_by", "data", "licence"} <= card.keys()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "order.json"
    path.write_text(order_file(read_order(), {"made_by": "hand"}))
    again = read_order(path)
    assert again.stored() == read_order().stored()
    assert again.fingerprint == read_order().fingerprint
    assert json.loads(path.read_text())["card"] == {"made_by": "hand"}


GATE: dict[str, JsonValue] = {
    "bias": 0.0,
    "rank_share": 0.0,
    "coefficients": [0.0] * len(FEATURES),
    "centre": [0.0] * len(FEATURES),
    "spread": [1.0] * len(FEATURES),
}
NAMES = ("bm25", "dense", "sparse", "reranker")


@pytest.mark.parametrize(
    "harm",
    [
        {"format": 1},
        {"grams": None},
        {"grams": float("inf")},
        {"features": []},
        {"features": [*FEATURES[:-1], "another"]},
        {"gates": {}},
        {"gates": dict.fromkeys((*NAMES, "fourth leg"), GATE)},
        {"gates": dict.fromkeys(NAMES, GATE | {"spread": [0.0] * len(FEATURES)})},
        {"gates": dict.fromkeys(NAMES, GATE | {"centre": [0.0]})},
        {"gates": dict.fromkeys(NAMES, GATE | {"bias": float("nan")})},
        {"gates": dict.fromkeys(NAMES, GATE | {"bias": "0.0"})},
        {"gates": dict.fromkeys(NAMES, GATE | {"rank_share": 1.5})},
        {"reranker": 7},
        {"another": "key"},
    ],
)
def test_a_damaged_or_foreign_file_is_refused_with_a_remedy(tmp_path: Path, harm: dict[str, JsonValue]) -> None:
    with pytest.raises(InputError, match="no learned order") as refused:
        read_order(damaged(tmp_path / "order.json", **harm))
    assert "nightrank tune" in refused.value.remedy


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{", b"\x00" * ((1 << 20) + 1)])
def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "order.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no learned order"):
        read_order(path)


def test_what_a_foreign_file_says_does_not_reach_the_message(tmp_path: Path) -> None:
    path = damaged(tmp_path / "order.json", **{"\x1b[31mred": 1})
    with pytest.raises(InputError) as refused:
        read_order(path)
    assert "\x1b" not in refused.value.message


def test_no_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.json", tmp_path):
        with pytest.raises(InputError, match="no learned order"):
            read_order(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "order.json"
    os.mkfifo(path)
    with pytest.raises(InputError, match="no learned order"):
        read_order(path)


def test_a_card_decides_nothing(tmp_path: Path) -> None:
    assert read_order(damaged(tmp_path / "order.json", card={})).fingerprint == read_order().fingerprint


def test_numbers_decide_the_fingerprint_wherever_the_file_lies(tmp_path: Path) -> None:
    own = damaged(tmp_path / "order.json", reranker="another")
    found = learned_order(settings(order_model="order.json"), base=tmp_path)
    assert found is not None
    assert found.fingerprint == read_order(own).fingerprint != read_order().fingerprint
    (tmp_path / "below").mkdir()
    moved = own.rename(tmp_path / "below" / "moved.json")
    again = learned_order(settings(order_model=str(moved)), base=tmp_path / "elsewhere")
    assert again is not None
    assert again.fingerprint == found.fingerprint
    assert settings(order_model="a.json").what() == settings(order_model="b.json").what()


def test_beside_plain_weights_a_named_model_orders_where_that_is_said() -> None:
    given = {"documents": {"source": "c"}, "queries": {"log": "l"}, "reranker": {"weight": 0.5}}
    for results, order in (
        ({}, "weighted"),
        ({"order_model": "a", "order": "learned"}, "learned"),
        ({"order_model": "a", "order": "weighted"}, "weighted"),
    ):
        assert Settings.model_validate(given | {"results": results}).order == order
    with pytest.raises(ValueError, match="say with order which of them orders"):
        Settings.model_validate(given | {"results": {"order_model": "a"}})
    assert (
        order_fingerprint(learned_order(settings(order="weighted", order_model="no file"), base=PACKAGED)) == "weighted"
    )


def test_a_file_of_the_format_before_is_refused_with_a_way_out_that_leads_out(tmp_path: Path) -> None:
    before = {name: value for name, value in json.loads(PACKAGED.read_text()).items() if name != "grams"}
    (tmp_path / "order.json").write_text(json.dumps({**before, "format": 1}))
    with pytest.raises(InputError, match="no learned order") as refused:
        learned_order(settings(order_model="order.json"), base=tmp_path)
    assert refused.value.remedy.startswith("Leave out [results].order_model")  # tune would be refused it as well


def test_a_release_of_the_format_before_is_ordered_as_it_was() -> None:
    present = read_order()
    before = {name: value for name, value in present.stored().items() if name != "grams"}
    manifest = SimpleNamespace(inputs=SimpleNamespace(order="a"), order_model={**before, "format": 1})
    kept = order_of_release(cast("Manifest", manifest))
    assert kept is not None
    assert kept.reranker == present.reranker
    rows, scores = np.array([0, 0, 1]), np.array([2.0, 1.0, 3.0])
    lists = Lists.of(rows, {"bm25": scores, "dense": scores[::-1]}, grams=np.array([0.0, 1.0, 1.0]))
    weights = kept.weights(lists, ("bm25", "dense"), log=log_means(lists, ("bm25", "dense")))
    assert weights["grams"].tolist() == [0.0, 0.0]
    assert (weights["bm25"] + weights["dense"]).tolist() == pytest.approx([1.0, 1.0])

"""Regressions planted on purpose: each is stopped by the gate that is there for it, and readers never see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from benchmarks.inputs.foreign_tokenizers import packaged_embedder, packaged_reranker, shuffled, with_tokenizer
from benchmarks.inputs.tiny_models import tiny_reranker
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.tasks.bm25.analyser import Analyser
from tests.end_to_end.test_refresh import forbid_models
from tests.support.published import check_readable, pointer, rankings, snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from tests.conftest import Command, Ended
    from tests.end_to_end.conftest import Refresh
    from tests.support.collection import Collection


@dataclass(frozen=True, slots=True)
class Live:
    """What was published before the regression."""

    release_id: str
    pointer: dict[str, str]
    files: dict[str, bytes | None]
    answers: object

    @classmethod
    def of(cls, collection: Collection) -> Live:
        release_id = check_readable(collection.workspace).release_id
        folder = FolderWorkspace(collection.workspace).release(release_id)
        return cls(release_id, pointer(collection.workspace), snapshot(folder), rankings(collection.workspace))

    def assert_untouched(self, collection: Collection) -> None:
        assert Live.of(collection) == self


def published_with_default_gates(collection: Collection, refresh: Refresh) -> Live:
    del collection.settings["gates"]
    assert refresh(collection).published
    return Live.of(collection)


def refused(ended: Ended) -> dict[str, dict[str, Any]]:
    """The gates that keep the release from being published, from ``refresh --json``."""
    assert ended.code == 3, ended.err
    assert "Traceback" not in ended.err
    report = ended.json
    assert report["published"] is False
    found = {gate["name"]: gate for gate in report["gates"] if not gate["passed"] and not gate["accepted"]}
    for name, gate in found.items():
        assert f"{name}: {gate['reason']}" in ended.err
    return found


def with_shuffled_weights(model: Path, folder: Path) -> Path:
    """A reranker of the same shape, each of its tensors with its numbers in another order."""
    import torch
    from transformers import AutoModelForSequenceClassification

    network = AutoModelForSequenceClassification.from_pretrained(model, local_files_only=True)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            order = torch.randperm(parameter.numel(), generator=generator)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    tiny_reranker(folder)  # its tokenizer stays
    network.save_pretrained(folder)
    return folder


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    """The packaged reranker as a plain folder of weights."""
    return packaged_reranker(tmp_path / "packaged")


def plant_shuffled_reranker(collection: Collection, refresh: Refresh, packaged: Path) -> Live:
    """Publish with a good reranker, then plant one with shuffled weights."""
    collection.settings["reranker"] = {"model": str(packaged), "weight": 1.0}
    live = published_with_default_gates(collection, refresh)
    assert read_manifest(FolderWorkspace(collection.workspace), live.release_id).measures["results"]["nDCG@10"] > 0.9
    collection.settings["reranker"]["model"] = str(with_shuffled_weights(packaged, collection.folder / "shuffled"))
    collection.write()
    return live


def plant_half_a_collection(collection: Collection, refresh: Refresh) -> Live:
    """Publish by words alone, which finds what is judged, then lose every second document."""
    collection.settings["reranker"] = {"model": "none"}
    collection.settings["retrieval"] = {"weights": {"bm25": 1.0, "dense": 0.0}}
    live = published_with_default_gates(collection, refresh)
    collection.documents = collection.documents[1::2]
    collection.write()
    return live


@pytest.mark.long
def test_a_reranker_with_shuffled_weights_is_stopped_by_its_quality(
    collection: Collection, refresh: Refresh, packaged: Path, nightrank: Command
) -> None:
    live = plant_shuffled_reranker(collection, refresh, packaged)

    found = refused(nightrank("refresh", "-c", collection.settings_file, "--json"))

    assert "non_inferiority" in found
    gate = found["non_inferiority"]
    assert gate["value"] < gate["threshold"] == -0.02
    assert "nDCG@10 on 6 judged queries" in gate["reason"]
    assert any(f'"{query_id}" (-' in gate["reason"] for query_id, _, _ in collection.qrels)
    live.assert_untouched(collection)


@pytest.mark.long
def test_half_of_the_collection_missing_is_stopped_by_the_overlap_where_nothing_is_judged(
    collection: Collection, refresh: Refresh, nightrank: Command
) -> None:
    del collection.settings["judgments"]
    live = plant_half_a_collection(collection, refresh)

    found = refused(nightrank("refresh", "-c", collection.settings_file, "--json"))

    assert "overlap" in found
    assert found["overlap"]["value"] < found["overlap"]["threshold"] == 0.6
    assert {"account"} <= set(found) <= {"overlap", "top1", "account"}
    live.assert_untouched(collection)


@pytest.mark.long
def test_half_of_the_collection_missing_is_stopped_by_the_quality_where_queries_are_judged(
    collection: Collection, refresh: Refresh, nightrank: Command
) -> None:
    live = plant_half_a_collection(collection, refresh)
    collection.settings["gates"] = {"min_overlap": "none", "max_top1_changed": "none", "max_text_lost": "none"}
    collection.write()

    found = refused(nightrank("refresh", "-c", collection.settings_file, "--json"))

    assert set(found) == {"non_inferiority"}  # drift looks at what is still there
    live.assert_untouched(collection)


# What each document is about, as people ask who do not have its words.
IN_OTHER_WORDS = (
    "insects that produce sweet syrup",
    "material of the hive's cells",
    "oven recipe for a loaf",
    "natural fermentation of a bakery culture",
    "why does the ocean go up at the beach",
    "daytime darkness in astronomy",
    "frozen rivers in the mountains",
    "erupting mountain",
    "coloured bow on a wet day",
    "loud noise during a storm",
    "finding a direction on a ship",
    "how old timepieces measure hours",
    "manufacture of writing sheets",
    "medieval writing fluid",
    "how are window panes produced",
    "ancient masonry for crossing a river",
    "invention that helped transport",
    "weaving cloth",
    "getting seasoning from the ocean",
    "hot drink from China",
    "breakfast beverage with caffeine",
    "dairy product that ages",
    "what to do with vegetables each season",
    "pollination and flowers",
    "weather and light",
    "volcanic stones",
    "historic crafts",
    "navigation at night",
    "kitchen chemistry",
    "planting fruit",
)


@pytest.mark.long
@pytest.mark.parametrize(
    ("part", "says"), [("embedder", "the dual encoder's similarities"), ("reranker", "the reranker's scores")]
)
def test_a_model_with_the_tokenizer_of_another_is_stopped_where_nothing_is_judged(
    part: str, says: str, collection: Collection, refresh: Refresh, packaged: Path, nightrank: Command
) -> None:
    del collection.settings["judgments"]
    models = {"embedder": packaged_embedder(), "reranker": packaged}
    collection.settings["embedder"] = {"model": str(models["embedder"])}
    collection.settings["reranker"] = {"model": str(models["reranker"]), "depth": 12}
    collection.log = [(f"q{number}", text, 1) for number, text in enumerate(IN_OTHER_WORDS)]
    live = published_with_default_gates(collection, refresh)
    collection.settings["gates"] = {"min_overlap": "none", "max_top1_changed": "none", "max_unrelated": "none"}
    folder = with_tokenizer(models[part], collection.folder / "foreign", shuffled)
    collection.settings[part]["model"] = str(folder)
    collection.write()

    found = refused(nightrank("refresh", "-c", collection.settings_file, "--json"))

    assert set(found) == {"profile"}
    assert f"{says} of the same pairs correlate with the live ones by " in found["profile"]["reason"]
    live.assert_untouched(collection)


class Unstemmed(Analyser):
    """A bug: words are their own terms, and it goes by the name of the analysis with stems."""

    def __call__(self, words: list[str], _language: int, /) -> Sequence[str | None]:
        return words


@pytest.mark.long
def test_an_index_that_was_analysed_otherwise_than_the_queries_is_stopped_by_the_audit(
    collection: Collection, refresh: Refresh, nightrank: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = published_with_default_gates(collection, refresh)
    monkeypatch.setattr("nightrank.tasks.stages.index.Analyser", Unstemmed)
    collection.document("tea")["text"] = f"{collection.document('tea')['text']} Cups are warmed."
    collection.write()

    found = refused(nightrank("refresh", "-c", collection.settings_file, "--json"))

    assert "bm25_audit" in found
    assert "tea#0" in found["bm25_audit"]["reason"]
    assert found["bm25_audit"]["value"] == "Infinity"
    live.assert_untouched(collection)

    monkeypatch.undo()
    assert refresh(collection).published


@pytest.mark.long
def test_queries_that_are_analysed_otherwise_than_the_index_are_stopped_by_the_audit(
    collection: Collection, refresh: Refresh, nightrank: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = published_with_default_gates(collection, refresh)
    monkeypatch.setattr("nightrank.tasks.stages.retrieve.Analyser", Unstemmed)
    collection.document("tea")["shelf"] = 3
    collection.write()

    found = refused(nightrank("refresh", "-c", collection.settings_file, "--json"))

    assert "bm25_audit" in found
    assert "that belong among the candidates are not there" in found["bm25_audit"]["reason"]
    live.assert_untouched(collection)


@pytest.mark.long
def test_a_refused_release_is_listed_with_the_gates_that_it_failed_and_why(
    collection: Collection, refresh: Refresh, nightrank: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    live = plant_half_a_collection(collection, refresh)
    found = refused(nightrank("refresh", "-c", collection.settings_file, "--json"))

    listed = nightrank("releases", "-c", collection.settings_file, "--json")
    shown = nightrank("releases", "-c", collection.settings_file)

    assert (listed.code, listed.json["current"]) == (0, live.release_id)
    first, rejected = listed.json["releases"]
    assert (first["status"], rejected["status"], rejected["current"]) == ("accepted", "rejected", False)
    reasons = {gate["name"]: gate["reason"] for gate in rejected["gates"] if not gate["passed"]}
    assert reasons == {name: gate["reason"] for name, gate in found.items()}
    words = " ".join(shown.out.split())
    assert f"rejected, failed {', '.join(found)}" in words
    for name, reason in reasons.items():
        assert f"{rejected['release_id']} was rejected by {name}: {reason}." in words


@pytest.mark.long
@pytest.mark.parametrize("planted", ["reranker", "collection"])
def test_a_gate_that_is_accepted_on_purpose_publishes_at_the_price_of_a_look_at_the_memos(
    planted: str,
    collection: Collection,
    refresh: Refresh,
    packaged: Path,
    nightrank: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    if planted == "reranker":
        live = plant_shuffled_reranker(collection, refresh, packaged)
    else:
        live = plant_half_a_collection(collection, refresh)
    found = refused(nightrank("refresh", "-c", collection.settings_file, "--json"))
    assert "non_inferiority" in found
    forbid_models(monkeypatch)
    others = [argument for name in found if name != "non_inferiority" for argument in ("--accept", name)]

    if others:  # one of several is not enough
        ended = nightrank("refresh", "-c", collection.settings_file, "--json", *others)
        assert set(refused(ended)) == {"non_inferiority"}
        live.assert_untouched(collection)
    accept = ["--accept", "non_inferiority", "--accept", "empty", *others]
    ended = nightrank("refresh", "-c", collection.settings_file, "--json", *accept)

    assert (ended.code, ended.json["published"]) == (0, True)
    counts = ended.json["counts"]
    assert (counts["chunks_embedded"], counts["queries_embedded"], counts["pairs_scored"]) == (0, 0, 0)
    manifest = check_readable(collection.workspace)
    assert manifest.status == "accepted"
    assert {gate.name for gate in manifest.gates if gate.accepted} == set(found)  # "empty" passed: nothing to accept
    assert {gate.name for gate in manifest.gates if not gate.passed} == set(found)
    shown = " ".join(nightrank("releases", "-c", collection.settings_file).out.split())
    assert f"current, despite {', '.join(found)}" in shown
    assert nightrank("refresh", "-c", collection.settings_file, "--json").json["changed"] is False

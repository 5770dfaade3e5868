"""The stages that both trainings begin with, on a published release."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from nightrank.flows.train.shared import working
from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import read_table
from nightrank.storage.keys import digest, query_key
from nightrank.tasks.train.embedder.options import EmbedderTraining
from nightrank.tasks.train.sets import read_training_set
from nightrank.tasks.train.settings import PairSettings
from nightrank.tasks.train.stages import gather_pairs, mine_pairs
from tests.support.training_collection import training_collection

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from nightrank.tasks.models.card import PairsGathered, PairsMined
    from nightrank.tasks.train.job import TrainingJob
    from nightrank.tasks.train.sets import TrainingSet
    from tests.conftest import Models
    from tests.support.collection import Collection


@pytest.fixture(scope="module")
def judged(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """A collection that can be learnt, with a release whose candidates are scored."""
    folder = tmp_path_factory.mktemp("judged") / "project"
    collection = training_collection(folder, embedder=models.embedder, reranker=models.reranker)
    refresh_plainly(collection.settings_file)
    return collection


def prepared(
    collection: Collection, **asked: object
) -> tuple[PairsGathered, PairsMined, TrainingSet, Mapping[str, str]]:
    """What the stages made, and the query texts by id."""
    settings = PairSettings.model_validate(asked)
    configuration = load_settings(collection.settings_file)
    with working(configuration, "embedder", settings, EmbedderTraining(), now=datetime.now(UTC)) as job:
        gathered = gather_pairs.fn(job, settings)
        mined = mine_pairs.fn(job, settings, gathered)
        training_set = read_training_set(job.folder)
        shutil.rmtree(job.folder)  # nothing to go on from
        return gathered, mined, training_set, {name: text for name, text, _ in collection.log}


@pytest.mark.long
@pytest.mark.parametrize("origin", ["judgments", "clicks", "documents", "pairs"])
def test_no_passage_is_on_both_sides_of_the_split(judged: Collection, tmp_path: Path, origin: str) -> None:
    asked: dict[str, object] = {"held_out_share": 0.25}
    if origin == "pairs":
        # Ids and titles of their own: what a passage says is what must not be on both sides.
        rows = [
            {"query": text, "title": "", "text": judged.document(name.removeprefix("q-"))["text"], "document_id": name}
            for name, text, _ in judged.log
        ]
        path = tmp_path / "pairs.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        asked["pairs"] = path
    elif origin == "clicks":
        judged.settings["queries"] = {"log": "clicks.jsonl"}
        judged.write()
        asked["origin"] = origin
    else:
        asked["origin"] = origin
    try:
        gathered, mined, training_set, _ = prepared(judged, **asked)
    finally:
        judged.settings["queries"] = {"log": "queries.jsonl"}
        judged.write()

    assert gathered.origin == origin
    assert gathered.queries == 90
    assert (mined.queries, mined.held_out_queries) == (68, 22)
    shown = {place for query in training_set.mined for place, _ in (*query.answers, *query.negatives)}
    said = {training_set.passages[place].model_text() for place in shown}
    relevant = {name for query in training_set.held_out for name in query.relevant}
    held_texts = {passage.text for passage in training_set.passages if passage.document_id in relevant}
    assert not {training_set.passages[place].document_id for place in shown} & relevant
    assert not {text for text in held_texts if any(text in one for one in said)}
    assert not shown & training_set.held
    assert any(query.negatives for query in training_set.mined)
    assert mined.whole_collection


def test_in_the_documents_own_pairs_no_passage_shows_its_title(judged: Collection) -> None:
    _, _, training_set, _ = prepared(judged, origin="documents")

    assert not any("Tale" in passage.model_text() for passage in training_set.passages)
    assert all(query.query.startswith("tale ") for query in training_set.mined)


@pytest.mark.parametrize(("prefix", "titled"), [("", True), ("of my own ", False)])
def test_titles_tell_no_answer_of_a_file_from_a_negative(
    judged: Collection, tmp_path: Path, prefix: str, *, titled: bool
) -> None:
    rows = [
        {"query": text, "title": "", "text": judged.document(key)["text"], "document_id": prefix + key}
        for name, text, _ in judged.log
        for key in [name.removeprefix("q-")]
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    _, _, training_set, _ = prepared(judged, pairs=path)

    for side in ("answers", "negatives"):
        places = {place for query in training_set.mined for place, _ in getattr(query, side)}
        assert {bool(training_set.passages[place].title) for place in places} == {titled}


def test_a_passage_of_the_release_is_the_text_that_its_hash_is_of(judged: Collection) -> None:
    gathered, _, training_set, _ = prepared(judged, origin="judgments")

    folder = load_settings(judged.settings_file).workspace.release(gathered.release_id)
    hashes = set(read_table(folder / "candidates.parquet", columns=["chunk_hash"]).column(0).to_pylist())
    assert {digest("chunk", passage.model_text()) for passage in training_set.passages} <= hashes


def test_candidates_of_a_held_out_query_are_the_releases_own(judged: Collection) -> None:
    gathered, _, training_set, _ = prepared(judged, origin="judgments")

    folder = load_settings(judged.settings_file).workspace.release(gathered.release_id)
    candidates = read_table(folder / "candidates.parquet").to_pylist()
    for query in training_set.held_out[:5]:
        own = sorted(
            (row for row in candidates if row["query_key"] == query_key(query.query)), key=lambda row: row["fused_rank"]
        )
        listed = [
            (training_set.passages[candidate.place].document_id, candidate.fused) for candidate in query.candidates
        ]
        assert [name for name, _ in listed] == [row["document_id"] for row in own]
        assert [score for _, score in listed] == pytest.approx([row["fused_score"] for row in own])


def test_what_the_reranker_scores_like_an_answer_is_refused(judged: Collection) -> None:
    _, mined, _, _ = prepared(judged, origin="judgments")

    assert mined.false_negatives["score"] > 0  # of 68 queries with 90 scored candidates each


@pytest.mark.long
def test_the_score_of_a_pair_counts_whatever_filter_it_was_scored_under(
    models: Models, judged: Collection, tmp_path: Path
) -> None:
    unfiltered = prepared(judged, origin="judgments")[1]
    collection = training_collection(tmp_path / "project", embedder=models.embedder, reranker=models.reranker)
    for document in collection.documents:
        document["kind"] = "tale"
    collection.filters = {name: {"kind": "tale"} for name, _, _ in collection.log}
    collection.write()
    refresh_plainly(collection.settings_file)
    queries = tmp_path / "judged.jsonl"
    queries.write_text("".join(json.dumps({"_id": name, "text": text}) + "\n" for name, text, _ in collection.log))
    qrels = collection.folder / str(collection.settings["judgments"]["qrels"])

    _, mined, _, _ = prepared(collection, qrels=qrels, queries=queries)

    assert mined.false_negatives["score"] == unfiltered.false_negatives["score"] > 0


def test_a_collection_beyond_the_bound_is_measured_on_a_sample_with_all_answers(judged: Collection) -> None:
    _, mined, training_set, _ = prepared(judged, origin="judgments", evaluated_passages=40)

    shown = [training_set.passages[place].document_id for place in training_set.evaluated]
    assert len(shown) == mined.evaluated_passages == 40
    assert not mined.whole_collection
    assert {name for query in training_set.held_out for name in query.relevant} <= set(shown)


def test_automatically_clicks_come_before_judgments(judged: Collection) -> None:
    assert prepared(judged)[0].origin == "judgments"
    assert prepared(judged)[0].judged
    judged.settings["queries"] = {"log": "clicks.jsonl"}
    judged.write()
    try:
        gathered = prepared(judged)[0]
    finally:
        judged.settings["queries"] = {"log": "queries.jsonl"}
        judged.write()
    assert (gathered.origin, gathered.judged) == ("clicks", False)


def test_a_copy_of_the_settings_judgments_is_what_releases_are_measured_on(judged: Collection, tmp_path: Path) -> None:
    own = judged.folder / str(judged.settings["judgments"]["qrels"])
    same = shutil.copyfile(own, tmp_path / "same.tsv")
    other = tmp_path / "other.tsv"
    other.write_text("".join(own.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")

    assert [prepared(judged, qrels=path)[0].judged for path in (same, other)] == [True, False]


def test_too_few_pairs_are_the_users_fault(judged: Collection, tmp_path: Path) -> None:
    qrels = tmp_path / "one.tsv"
    name = judged.qrels[0]
    qrels.write_text(f"query-id\tcorpus-id\tscore\n{name[0]}\t{name[1]}\t1\n", encoding="utf-8")

    with pytest.raises(InputError, match="a side is empty"):
        prepared(judged, qrels=qrels)


def clicked(collection: Collection, count: int) -> None:
    rows = [{"query": text, "clicked": name.removeprefix("q-")} for name, text, _ in collection.log[:count]]
    (collection.folder / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_more_pairs_in_the_same_file_are_another_training(judged: Collection) -> None:
    settings = PairSettings(origin="clicks")
    judged.settings["queries"] = {"log": "some.jsonl"}
    judged.write()
    try:
        clicked(judged, 1)
        with pytest.raises(InputError, match="a side is empty"):
            stopped(judged, settings)
        clicked(judged, 90)
        gathered, _ = stopped(judged, settings)
    finally:
        judged.settings["queries"] = {"log": "queries.jsonl"}
        judged.write()
    assert gathered.queries == 90


def test_what_a_training_that_failed_had_gathered_is_gathered_anew(judged: Collection, tmp_path: Path) -> None:
    qrels, settings = tmp_path / "qrels.tsv", PairSettings(qrels=tmp_path / "qrels.tsv")
    head, rows = "query-id\tcorpus-id\tscore\n", [f"{name}\t{document}\t1\n" for name, document, _ in judged.qrels]
    qrels.write_text(head + "".join(rows), encoding="utf-8")
    gathered, _ = stopped(judged, settings, mining=False)
    with at_work(judged, settings) as job:
        record = job.folder / "gathered.json"
        assert record.is_file()
        record.write_text(gathered.model_copy(update={"release_id": "collected"}).model_dump_json())
        with pytest.raises(InputError, match="There is no release 'collected'"):
            mine_pairs.fn(job, settings, gathered.model_copy(update={"release_id": "collected"}))
        assert not record.is_file()
        record.write_text(gathered.model_copy(update={"release_id": "collected"}).model_dump_json())

    again, mined = stopped(judged, settings)

    assert again == gathered
    assert mined is not None


def at_work(collection: Collection, settings: PairSettings) -> AbstractContextManager[TrainingJob]:
    configuration = load_settings(collection.settings_file)
    return working(configuration, "embedder", settings, EmbedderTraining(), now=datetime.now(UTC))


def stopped(
    collection: Collection, settings: PairSettings, *, mining: bool = True
) -> tuple[PairsGathered, PairsMined | None]:
    """A training that is stopped early, and leaves its folder."""
    with at_work(collection, settings) as job:
        gathered = gather_pairs.fn(job, settings)
        return gathered, mine_pairs.fn(job, settings, gathered) if mining else None


def test_settings_that_the_release_was_not_made_with_are_told(judged: Collection) -> None:
    judged.settings["embedder"]["query_prompt"] = "query: "
    judged.write()
    try:
        with pytest.raises(InputError, match="not what the release") as caught:
            prepared(judged)
    finally:
        del judged.settings["embedder"]["query_prompt"]
        judged.write()
    assert "nightrank refresh" in caught.value.remedy

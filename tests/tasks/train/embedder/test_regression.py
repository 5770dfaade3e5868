"""A general collection as regression set: a BEIR folder, or the release of other settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import pytest

from benchmarks.parts.plain_nights import refresh_plainly
from nightrank.flows.settings_file import load_settings
from nightrank.storage.errors import InputError
from nightrank.tasks.train.embedder.regression import RegressionFolder, RegressionRelease

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.collection import Collection


class Drawn(TypedDict):
    """How much of a regression set is asked."""

    queries: int
    passages: int
    generator: np.random.Generator


def everything() -> Drawn:
    return {"queries": 1000, "passages": 1000, "generator": np.random.default_rng(0)}


def beir(folder: Path, *splits: str) -> RegressionFolder:
    (folder / "qrels").mkdir(parents=True)
    documents = [{"_id": "a", "title": "A", "text": "x"}, {"_id": "b", "title": "", "text": "y"}]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in documents))
    queries = [{"_id": split, "text": f"Of {split}"} for split in splits]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    for split in splits:
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{split}\tb\t2\n{split}\ta\t0\n")
    return RegressionFolder("general", folder)


def test_a_folder_asks_the_queries_of_its_test_split_over_all_its_documents(tmp_path: Path) -> None:
    asked = beir(tmp_path, "train", "test").examination(**everything())

    assert (list(asked.queries), list(asked.relevant)) == (["of test"], [{"b": 2}])
    assert (asked.passages, asked.document_ids) == (["A\nx", "y"], ["a", "b"])


def test_a_folder_without_judgments_is_the_users_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"general has no qrels/test\.tsv"):
        beir(tmp_path).check()


def test_a_folder_without_a_relevant_document_is_the_users_fault(tmp_path: Path) -> None:
    regression_set = beir(tmp_path, "test")
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\ntest\ta\t0\n")

    with pytest.raises(InputError, match="general has no query"):
        regression_set.check()


def test_of_a_large_folder_what_answers_and_some_others_are_asked(tmp_path: Path) -> None:
    regression_set = beir(tmp_path, "test")
    with (tmp_path / "corpus.jsonl").open("a") as file:
        file.writelines(json.dumps({"_id": f"c{i}", "text": f"text {i}"}) + "\n" for i in range(50))

    asked = regression_set.examination(queries=300, passages=5, generator=np.random.default_rng(0))

    assert len(asked.document_ids) == 5
    assert asked.passages[asked.document_ids.index("b")] == "y"
    others = [place for place, name in enumerate(asked.document_ids) if name.startswith("c")]
    assert [asked.passages[place] for place in others] == [f"text {asked.document_ids[place][1:]}" for place in others]
    assert len(others) >= 3


def regression_set_of(collection: Collection) -> RegressionRelease:
    configuration = load_settings(collection.settings_file)
    return RegressionRelease("general", configuration.settings, configuration.base, configuration.workspace)


@pytest.mark.long
def test_a_release_asks_its_judged_queries_over_all_its_chunks(collection: Collection) -> None:
    collection.qrels.append(("q-sun", "salt", 0))  # judged, and not relevant
    collection.write()
    refresh_plainly(collection.settings_file)

    regression_set = regression_set_of(collection)
    regression_set.check()
    asked = regression_set.examination(**everything())

    by_query = dict(zip(asked.queries, asked.relevant, strict=True))
    assert by_query["how do bees make honey"] == {"bees": 2, "beeswax": 1}
    assert "sun and salt" not in by_query
    assert len(asked.queries) == 6
    assert set(asked.document_ids) == {document["_id"] for document in collection.documents}
    assert asked.document_ids.count("garden") > 1
    tea = list(asked.document_ids).index("tea")
    assert asked.passages[tea].startswith("Tea\nLeaves of one bush")
    assert asked.smaller(queries=3, passages=5, generator=np.random.default_rng(1)) == regression_set.examination(
        queries=3, passages=5, generator=np.random.default_rng(1)
    )


def test_a_release_without_judgments_is_the_users_fault(collection: Collection) -> None:
    refresh_plainly(collection.settings_file)
    del collection.settings["judgments"]
    collection.write()

    with pytest.raises(InputError, match="no judged query"):
        regression_set_of(collection).check()

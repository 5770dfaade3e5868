"""`nightrank train`: from pairs to a model that is promoted, where it is better, and used from the next refresh on."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nightrank.flows.settings_file import load_settings
from nightrank.flows.train.shared import JUDGED, UNSEEN, VALIDATION_REUSED
from nightrank.storage.files.parquet import read_table
from nightrank.storage.release.manifest import current_manifest
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.storage.workspace.models import promotions
from nightrank.tasks.models.curve import LOSSES
from tests.support.training_collection import training_collection

if TYPE_CHECKING:
    from tests.conftest import Command, Ended, Models
    from tests.support.collection import Collection

# What a model of one random layer needs to learn the collection in a few seconds.
HOW = ("--steps", "100", "--batch", "16", "--learning-rate", "0.01", "--held-out", "0.3")


@pytest.fixture(scope="module")
def learnable(prefect_api: str, models: Models, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """The collection that can be learnt, with a published release."""
    from nightrank.flows.refresh import refresh

    collection = training_collection(tmp_path_factory.mktemp("learnable") / "project", embedder=models.embedder)
    refresh(str(collection.settings_file))
    return collection


def train(nightrank: Command, collection: Collection, *more: str | Path) -> Ended:
    return nightrank("train", "embedder", "-c", collection.settings_file, *HOW, "--json", *more)


def regression_set(folder: Path, collection: Collection, *, queries: int) -> Path:
    """A folder in BEIR layout whose queries are the titles: what the training never heard of, and makes worse."""
    (folder / "qrels").mkdir(parents=True)
    documents = collection.documents
    (folder / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    asked = [{"_id": str(number), "text": documents[number]["title"]} for number in range(queries)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    judged = "".join(f"{number}\t{documents[number]['_id']}\t1\n" for number in range(queries))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    return folder


@pytest.fixture(scope="module")
def trained(learnable: Collection, prefect_api: str) -> dict[str, Any]:
    """A model that was trained and not promoted, as its JSON."""
    from nightrank.flows.train.embedder import EmbedderRequest, train_embedder
    from nightrank.tasks.train.embedder.options import EmbedderTraining
    from nightrank.tasks.train.settings import PairSettings

    request = EmbedderRequest(
        pairs=PairSettings(held_out_share=0.3),
        training=EmbedderTraining(steps=100, batch=16, learning_rate=0.01),
    )
    return dict(train_embedder(str(learnable.settings_file), request).as_json())


@pytest.mark.long
def test_a_model_is_kept_with_its_card_its_figures_and_its_loss_curve(
    learnable: Collection, trained: dict[str, Any]
) -> None:
    models = FolderWorkspace(learnable.workspace).models
    [folder] = [path for path in models.iterdir() if path.is_dir()]
    assert trained["model"] == str(folder)
    card = trained["card"]
    assert folder.name == f"embedder-{card['fingerprint']}"
    assert json.loads((folder / "training.json").read_text()) == card
    assert read_table(folder / "losses.parquet").schema == LOSSES
    assert (folder / "losses.svg").read_text().startswith("<?xml")
    figure = card["figures"][0]
    assert (figure["stage"], figure["measure"]) == ("dense", "nDCG@10")
    assert (figure["queries"], card["training"]["validation_queries"]) == (18, 9)  # of 27 that are held out
    assert figure["low"] > 0.0
    assert {row["measure"] for row in card["figures"]} == {"nDCG@10", "RR@10", "R@100"}
    assert card["gathered"]["origin"] == "judgments"
    assert card["remarks"] == [f"{JUDGED} {UNSEEN}"]
    assert not list(models.glob(".training-*"))


def test_the_settings_word_is_enough_to_use_a_model(learnable: Collection, trained: dict[str, Any]) -> None:
    from nightrank.tasks.embed.encoder import plan_embedder

    settings = load_settings(learnable.settings_file).settings
    chosen = settings.embedder.model_copy(update={"model": f"workspace/models/{trained['model'].rpartition('/')[2]}"})
    plan = plan_embedder(chosen, settings.execution, base=learnable.folder)
    assert plan.files.weights_sha256 == trained["card"]["weights_sha256"]


@pytest.mark.long
def test_a_promoted_model_is_used_from_the_next_refresh_on_until_it_is_withdrawn(
    learnable: Collection, trained: dict[str, Any], nightrank: Command
) -> None:
    workspace, name = FolderWorkspace(learnable.workspace), trained["model"].rpartition("/")[2]
    before = current_manifest(workspace)
    assert before is not None
    assert not nightrank("refresh", "-c", learnable.settings_file, "--json").json["changed"]

    promoted = nightrank("train", "promote", name, "-c", learnable.settings_file, "--json")

    assert (promoted.code, promoted.json["promoted"]) == (0, True)
    assert promotions(workspace)["embedder"].model == name
    refreshed = nightrank("refresh", "-c", learnable.settings_file, "--json")
    assert refreshed.json["published"]
    assert refreshed.json["counts"]["chunks_embedded"] == 90
    after = current_manifest(workspace)
    assert after is not None
    assert after.inputs.embedder != before.inputs.embedder
    [*_, newest] = nightrank("releases", "-c", learnable.settings_file, "--json").json["releases"]
    assert newest["models"]["embedder"] == {
        "model": f"workspace/models/{name}",
        "fingerprint": after.inputs.embedder,
    }
    assert after.measures["dense"]["nDCG@10"] > before.measures["dense"]["nDCG@10"]
    with workspace.writing(now=datetime.now(UTC)):
        pass
    nightrank("prune", "-c", learnable.settings_file, "--keep", "1")
    assert (workspace.models / name / "model.safetensors").is_file()

    again = nightrank("train", "promote", name, "-c", learnable.settings_file)
    assert (again.code, "compared with another embedder" in again.err) == (2, True)

    demoted = nightrank("train", "demote", "embedder", "-c", learnable.settings_file, "--json")
    assert demoted.json == {"kind": "embedder", "demoted": name}
    assert nightrank("refresh", "-c", learnable.settings_file, "--json").json["published"]
    back = current_manifest(workspace)
    assert back is not None
    assert back.inputs.embedder == before.inputs.embedder


@pytest.mark.long
def test_promotion_is_refused_where_the_guard_loses_and_the_model_is_kept(
    learnable: Collection, nightrank: Command, tmp_path: Path
) -> None:
    general = regression_set(tmp_path / "general", learnable, queries=40)

    ended = train(nightrank, learnable, "--regression-set", general, "--promote", "--seed", "5")

    reported = ended.json
    assert reported["card"]["regression_set"]["figure"]["difference"] < -0.01
    assert (ended.code, reported["promoted"]) == (3, False)
    assert "by more than 0.01" in ended.err
    assert promotions(FolderWorkspace(learnable.workspace)) == {}
    assert (
        read_table(FolderWorkspace(learnable.workspace).models / reported["model"] / "comparison.parquet").num_rows == 3
    )


@pytest.mark.long
def test_a_guard_that_comes_later_is_on_the_card_of_the_same_weights(
    learnable: Collection, nightrank: Command, tmp_path: Path
) -> None:
    general = regression_set(tmp_path / "general", learnable, queries=40)
    idle = ("--steps", "2", "--batch", "8", "--learning-rate", "1e-9", "--seed", "7", "--json")
    first = nightrank("train", "embedder", "-c", learnable.settings_file, *idle).json

    second = nightrank("train", "embedder", "-c", learnable.settings_file, *idle, "--regression-set", general).json

    assert (first["model"], first["card"]["regression_set"]) == (second["model"], None)
    assert json.loads((Path(first["model"]) / "training.json").read_text()) == second["card"]
    assert second["card"]["regression_set"]["name"] == str(general)


@pytest.mark.long
def test_promotion_is_refused_where_nothing_is_gained(learnable: Collection, nightrank: Command) -> None:
    ended = nightrank(
        *("train", "embedder", "-c", learnable.settings_file, "--json", "--promote"),
        *("--steps", "2", "--batch", "8", "--learning-rate", "1e-9"),
    )

    assert (ended.code, ended.json["promoted"]) == (3, False)
    assert ended.json["card"]["remarks"] == [JUDGED, VALIDATION_REUSED]  # 9 held-out queries
    assert "no gain beyond chance" in ended.err
    assert promotions(FolderWorkspace(learnable.workspace)) == {}


@pytest.mark.long
def test_for_people_the_figures_are_a_table(learnable: Collection, nightrank: Command) -> None:
    ended = nightrank(
        *("train", "embedder", "-c", learnable.settings_file, "--from", "documents"),
        *("--steps", "2", "--batch", "8", "--regression-set", learnable.settings_file),
    )

    assert (ended.code, ended.err) == (0, "")
    assert "held-out queries over all 90 passages" in ended.out
    assert "95% interval" in ended.out
    assert "Regression" in ended.out


@pytest.mark.parametrize(
    ("options", "reported"),
    [
        (("embedder", "--batch", "1"), "--batch 1 is wrong"),
        (("embedder", "--held-out", "0.9"), "--held-out 0.9 is wrong"),
        (("reranker", "--batch", "0"), "--batch 0 is wrong"),
        (("embedder", "--pairs", "nowhere.jsonl"), "There is no file nowhere.jsonl"),
        (("embedder", "--regression-set", "nowhere"), "There is no settings file nowhere"),
        (("embedder", "--base", "./nowhere"), "There is no model folder './nowhere'"),
    ],
)
def test_a_wrong_option_is_told_in_a_line(
    learnable: Collection, nightrank: Command, options: tuple[str, ...], reported: str
) -> None:
    ended = nightrank("train", *options, "-c", learnable.settings_file)

    assert ended.code == 2
    assert reported in ended.err
    assert ended.out == ""


def test_without_the_extra_it_is_named(
    learnable: Collection, nightrank: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentence_transformers import util

    monkeypatch.setattr(util, "is_training_available", lambda: False)

    ended = nightrank("train", "embedder", "-c", learnable.settings_file)

    assert ended.code == 2
    assert "pip install nightrank[train]" in ended.err


def test_before_the_first_refresh_there_is_nothing_to_mine(models: Models, nightrank: Command, tmp_path: Path) -> None:
    collection = training_collection(tmp_path / "project", embedder=models.embedder)

    ended = nightrank("train", "embedder", "-c", collection.settings_file)

    assert ended.code == 2
    assert "no published release" in ended.err
    assert not collection.workspace.exists()


def test_another_model_in_the_settings_ends_a_promotion(tmp_path: Path, models: Models) -> None:
    collection = training_collection(tmp_path / "project", embedder=models.embedder)
    folder = collection.workspace / "models"
    (folder / "embedder-f00d").mkdir(parents=True)
    promotion = {"model": "embedder-f00d", "sha256": "a" * 64, "promoted_at": "2026-01-02"}
    stored = {"embedder": {**promotion, "instead_of": str(models.embedder)}}
    (folder / "promoted.json").write_text(json.dumps(stored))
    configuration = load_settings(collection.settings_file)
    assert configuration.settings.embedder.model == "workspace/models/embedder-f00d"
    assert configuration.settings.embedder.sha256 == "a" * 64
    assert configuration.named.embedder.model == str(models.embedder)

    collection.settings["embedder"]["model"] = "another/model"
    collection.write()

    assert load_settings(collection.settings_file).settings.embedder.model == "another/model"


def test_train_loads_nothing_heavy_to_say_what_it_can(tmp_path: Path) -> None:
    import subprocess

    program = (
        "import sys\nfrom nightrank.flows.cli.app import main\n"
        "try:\n    main(['train', 'embedder', '--help'])\nexcept SystemExit:\n    pass\n"
        "print(*(name for name in ('torch', 'prefect', 'pyarrow', 'datasets') if name in sys.modules), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ended.stderr.strip() == ""
    assert "--regression-set" in ended.stdout

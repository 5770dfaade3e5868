"""Trained models: their folders, and which of them are promoted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError, MachineError, WorkspaceBusy
from nightrank.storage.workspace.folder import FolderWorkspace
from nightrank.storage.workspace.models import (
    Promotion,
    commit_model,
    deciding,
    demote,
    discard,
    promote,
    promotions,
    training,
)
from tests.faults.system_calls import is_possible, watched

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.workspace.base import Workspace

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return FolderWorkspace(tmp_path / "workspace")


def made(place: Workspace, *, weights: str = "weights", card: str = "card") -> Path:
    """A trained folder within a training's, committed."""
    with training(place, "embedder", key="k", now=NOW) as folder:
        trained = folder / "trained"
        trained.mkdir()
        (trained / "model.safetensors").write_text(weights)
        (trained / "training.json").write_text(card)
        return commit_model(place, trained, kind="embedder", fingerprint="f00d", report_files=["training.json"])


def test_a_model_that_is_made_again_has_the_newest_card_beside_its_first_weights(place: Workspace) -> None:
    first = made(place, card="no regression set")
    assert made(place, weights="not looked at", card="a regression set refuses") == first
    assert (first / "training.json").read_text() == "a regression set refuses"
    assert (first / "model.safetensors").read_text() == "weights"


def test_a_training_that_is_over_leaves_nothing_though_it_is_killed_while_it_is_removed(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path, **_how: object) -> None:
        next(folder.glob("pairs")).unlink()
        raise KeyboardInterrupt

    with training(place, "embedder", key="k", now=NOW) as folder, monkeypatch.context() as patched:
        (folder / "pairs").write_text("needed")
        (folder / "gathered.json").write_text("done")
        patched.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            discard(folder)

    with training(place, "embedder", key="k", now=NOW) as again:
        assert list(again.iterdir()) == []
        assert [path.name for path in place.models.iterdir() if path.is_dir()] == [again.name]


def promotion(model: str = "embedder-f00d") -> Promotion:
    return Promotion(model=model, instead_of="base", sha256="0" * 64, promoted_at=NOW.isoformat())


def test_a_training_finds_again_what_it_left_and_other_trainings_do_not(place: Workspace) -> None:
    with training(place, "embedder", key="k", now=NOW) as folder:
        (folder / "half").write_text("done")
    with training(place, "embedder", key="k", now=NOW) as again:
        assert (again / "half").read_text() == "done"
    with training(place, "reranker", key="k", now=NOW) as other:
        assert not (other / "half").exists()


def test_a_training_is_one_processs_at_a_time_and_the_workspace_stays_free(place: Workspace) -> None:

    with (
        training(place, "embedder", key="k", now=NOW),
        place.writing(now=NOW),
        training(place, "embedder", key="other", now=NOW),
        pytest.raises(WorkspaceBusy, match=r"training .*embedder-k"),
        training(place, "embedder", key="k", now=NOW),
    ):
        pass


def test_a_sealed_model_has_its_name_and_the_same_one_is_there_once(place: Workspace) -> None:
    first = made(place)
    assert first == place.models / "embedder-f00d"
    assert made(place, weights="not looked at: the fingerprint decides") == first
    assert (first / "model.safetensors").read_text() == "weights"
    assert not list(place.models.glob(".training-*/trained"))


def test_a_promotion_is_there_until_it_is_withdrawn(place: Workspace) -> None:
    assert promotions(place) == {}
    made(place)
    promote(place, "embedder", promotion())
    assert promotions(place) == {"embedder": promotion()}
    assert demote(place, "reranker") is None
    assert demote(place, "embedder") == promotion()
    assert promotions(place) == {}
    assert demote(place, "embedder") is None


def test_one_promotion_waits_for_another(place: Workspace) -> None:
    made(place)
    with ThreadPoolExecutor() as pool:
        with deciding(place):
            promote(place, "embedder", promotion())
            demoted = pool.submit(demote, place, "embedder")
            with pytest.raises(TimeoutError):
                demoted.result(timeout=0.2)
            promote(place, "reranker", promotion())
        assert demoted.result() == promotion()
    assert promotions(place) == {"reranker": promotion()}


@pytest.mark.skipif(not is_possible(), reason="system calls are watched on Linux alone")
def test_promotions_whose_lock_the_disk_fails_name_it(place: Workspace) -> None:
    place.models.mkdir(parents=True)

    def decide_it() -> int:
        try:
            with deciding(place):
                return 0
        except OSError as error:
            return 1 if str(error.filename) == str(place.models / ".promoted.lock") else 3

    assert watched(decide_it, place.models, decide=lambda it: "EIO" if it.call == "flock" else None) == 1


def test_what_a_promotion_that_was_killed_was_writing_goes_with_the_next(place: Workspace) -> None:
    made(place)
    unfinished = place.models / ".promoted.json.f00d.tmp"
    unfinished.write_text("{")
    with deciding(place):
        assert not unfinished.exists()
        promote(place, "embedder", promotion())
    assert promotions(place) == {"embedder": promotion()}


def test_what_is_not_there_is_not_promoted(place: Workspace) -> None:
    made(place)
    with pytest.raises(InputError, match="no model embedder-beef"):
        promote(place, "embedder", promotion("embedder-beef"))
    with pytest.raises(ValueError, match="pattern"):
        promotion("../elsewhere")


def test_a_broken_list_of_promotions_is_told_and_not_taken_for_none(place: Workspace) -> None:
    made(place)
    (place.models / "promoted.json").write_text('{"embedder": {"model": "x"}}')
    with pytest.raises(MachineError, match=r"promoted\.json") as caught:
        promotions(place)
    assert "go back to what the settings name" in caught.value.remedy

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.rerank.cross_encoder import Reranker
from nightrank.tasks.rerank.find import plan_local, plan_reranker
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.settings.ranking import RerankerSettings
from tests.tasks.models.packed.test_decoders import causal
from tests.tasks.models.test_execution import of_another_type

if TYPE_CHECKING:
    from nightrank.tasks.rerank.plan import RerankerPlan
    from tests.conftest import Models

PAIRS = [
    ("read csv", "The csv module reads and writes tabular data."),
    ("sort a list", "sort"),
    ("read csv", "A lock file keeps a second run away. " * 60),
    ("read csv", "sort"),
    ("a much longer query " * 5, ""),
    ("sort a list", "sort"),
]


def plan(model: str | Path, **changes: object) -> RerankerPlan:
    settings = RerankerSettings.model_validate({"model": str(model), **changes})
    return plan_local(settings, ExecutionSettings(device="cpu"), base=Path("/nowhere"))


def scores_of(reranker: Reranker, pairs: list[tuple[str, str]]) -> list[float]:
    lengths = np.array([len(text.split()) for _, text in pairs], dtype=np.int64)
    scores = reranker.score([query for query, _ in pairs], [text for _, text in pairs], lengths)
    assert scores.dtype == np.float32
    return [float(score) for score in scores]


def test_scores_are_the_models_logits_in_the_order_of_pairs_whatever_the_batches(models: Models) -> None:
    from sentence_transformers import CrossEncoder
    from torch.nn import Identity

    theirs = CrossEncoder(str(models.reranker), device="cpu", local_files_only=True)
    expected = theirs.predict(PAIRS, activation_fn=Identity(), show_progress_bar=False)
    for batch_tokens in (64, 100_000):
        reranker = Reranker(plan(models.reranker), batch_tokens=batch_tokens)
        np.testing.assert_allclose(scores_of(reranker, PAIRS), expected, atol=1e-5)
        np.testing.assert_allclose(scores_of(reranker, PAIRS[::-1]), expected[::-1], atol=1e-5)
    assert scores_of(reranker, []) == []


def test_a_pair_is_cut_at_the_tokens_that_the_settings_allow(models: Models) -> None:
    short, whole = (Reranker(plan(models.reranker, max_tokens=limit), batch_tokens=4096) for limit in (16, None))
    long, longer = ("read csv", "one two three " * 20), ("read csv", "one two three " * 21)
    assert short.max_tokens == 16
    assert scores_of(short, [long]) == pytest.approx(scores_of(short, [longer]), abs=1e-5)
    assert scores_of(whole, [long]) != pytest.approx(scores_of(whole, [longer]), abs=1e-5)


def test_without_a_reranker_there_is_no_plan() -> None:
    assert plan_reranker(RerankerSettings(model="none"), ExecutionSettings(), base=Path("/nowhere")) is None


def test_a_model_without_a_card_decides_alone_unless_the_settings_weigh_it(models: Models) -> None:
    assert plan(models.reranker).weight == 1.0
    assert plan(models.reranker, weight=0.25).weight == 0.25
    assert plan(models.reranker, weight=0.0).weight == 0.0


def test_everything_that_decides_a_score_is_in_the_fingerprint_and_the_weight_is_not(models: Models) -> None:
    changes: list[dict[str, object]] = [{}, {"max_tokens": 64}, {"precision": "bfloat16"}, {"prompt": "q: "}]
    for model in (models.reranker, "nightrank-minilm"):
        assert len({plan(model, **change).fingerprint for change in changes}) == 4
    for change in ({"weight": 0.1}, {"depth": 3}):
        assert plan(models.reranker, **change).fingerprint == plan(models.reranker).fingerprint


def test_a_prompt_is_put_before_the_query_also_of_what_is_left_to_its_library(models: Models, tmp_path: Path) -> None:
    prompted = [(f"find: {query}", text) for query, text in PAIRS]
    for folder in (models.reranker, of_another_type(models, tmp_path)):
        with_prompt = scores_of(Reranker(plan(folder, prompt="find: ")), PAIRS)
        assert with_prompt == pytest.approx(scores_of(Reranker(plan(folder)), prompted), abs=1e-6)
        assert with_prompt != pytest.approx(scores_of(Reranker(plan(folder)), PAIRS), abs=1e-3)


def test_a_language_model_that_is_no_reranker_is_refused(tmp_path: Path) -> None:
    causal(tmp_path, template="{% for message in messages %}{{ message.role }}{% endfor %}")
    with pytest.raises(InputError, match=r"cannot score a pair: The chat template .* cannot carry"):
        Reranker(plan(tmp_path))
    causal(tmp_path, template="{{ raise_exception('Only users speak.') }}")
    with pytest.raises(InputError, match="Only users speak"):
        Reranker(plan(tmp_path))


def test_other_weights_than_expected_are_refused(models: Models) -> None:
    right = hashlib.sha256((models.reranker / "model.safetensors").read_bytes()).hexdigest()
    assert plan(models.reranker, sha256=right).fingerprint == plan(models.reranker).fingerprint
    with pytest.raises(InputError, match="the settings expect"):
        plan(models.reranker, sha256="0" * 64)


def test_a_hub_model_of_a_revision_is_the_model_of_that_snapshot(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    commits = {"main": "a" * 40, "v2": "b" * 40}
    for name, commit in commits.items():  # as the hub's own cache lies on the disk
        snapshot = tmp_path / "models--owner--cross" / "snapshots" / commit
        shutil.copytree(models.reranker, snapshot)
        (snapshot / "special.json").write_text(json.dumps({"of": name}))
        refs = tmp_path / "models--owner--cross" / "refs" / name
        refs.parent.mkdir(parents=True, exist_ok=True)
        refs.write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))

    main, named, pinned = (plan("owner/cross", revision=revision) for revision in (None, "v2", "b" * 40))

    assert main.folder.name == commits["main"]
    assert named.folder == pinned.folder
    assert pinned.folder.name == commits["v2"]
    assert pinned.fingerprint == named.fingerprint != main.fingerprint
    assert scores_of(Reranker(pinned, batch_tokens=512), PAIRS) == pytest.approx(
        scores_of(Reranker(plan(models.reranker), batch_tokens=512), PAIRS), abs=1e-5
    )


def test_a_model_of_several_outputs_is_no_reranker(tmp_path: Path, models: Models) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    AutoTokenizer.from_pretrained(models.reranker).save_pretrained(tmp_path)
    AutoModelForSequenceClassification.from_pretrained(
        models.reranker, num_labels=3, ignore_mismatched_sizes=True
    ).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="has 3 outputs, expected one"):
        Reranker(plan(tmp_path), batch_tokens=512)


def test_a_folder_that_holds_no_model_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"no config\.json in .* that names its architecture"):
        plan(tmp_path)

    (tmp_path / "config.json").write_text('{"architectures": ["UnheardOfForSequenceClassification"]}')
    with pytest.raises(InputError, match="no cross-encoder that sentence-transformers can read"):
        Reranker(plan(tmp_path), batch_tokens=512)


def modular(folder: Path, models: Models, *, output: str) -> Path:
    """A bare network, its first token, and a dense module on top: the parts that ettin-reranker is made of."""
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    torch.manual_seed(3)
    identity = torch.nn.Identity()
    head = Dense(32, 1, activation_function=identity, module_input_name="sentence_embedding", module_output_name=output)
    network = Transformer(str(models.embedder), transformer_task="feature-extraction")
    CrossEncoder(modules=[network, Pooling(32, pooling_mode="cls"), head]).save_pretrained(str(folder))
    return folder


def test_a_cross_encoder_of_several_modules_scores_as_sentence_transformers_has_it(
    models: Models, tmp_path: Path
) -> None:
    from sentence_transformers import CrossEncoder
    from torch.nn import Identity

    folder = modular(tmp_path / "modular", models, output="scores")
    theirs = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    expected = theirs.predict(PAIRS, activation_fn=Identity(), show_progress_bar=False)

    assert len(set(expected.tolist())) > 3
    np.testing.assert_allclose(scores_of(Reranker(plan(folder)), PAIRS), expected, atol=1e-5)


def test_modules_that_make_no_scores_are_no_cross_encoder(models: Models, tmp_path: Path) -> None:
    folder = modular(tmp_path / "modular", models, output="sentence_embedding")
    with pytest.raises(InputError, match="without scoring head"):
        plan(folder)
    (folder / "modules.json").write_text("{torn")
    with pytest.raises(InputError, match="without scoring head"):
        plan(folder)

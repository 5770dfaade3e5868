"""The stages of making the packaged reranker, as Prefect tasks: they hand on folders, never tensors."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from prefect import get_run_logger

from nightrank.storage.errors import InputError
from nightrank.storage.files.atomic import publish_folder, replacing, write_text
from nightrank.storage.keys import fingerprint, sha256_of_file
from nightrank.tasks.models.delta import save_delta
from nightrank.tasks.models.files import resolve_device
from nightrank.tasks.rerank.packaged import CARD_FILE, DELTA_FILE, base_folder, base_parameters
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.train.reranker.base import load_base
from nightrank.tasks.train.reranker.groups import GroupSampler, GroupSettings, MinedSource
from nightrank.tasks.train.reranker.learn import CHECKPOINT, LearningSettings, Progress, train
from nightrank.tasks.train.sets import read_training_set, write_training_set
from recipes.legs import load_encoders
from recipes.packaged_reranker.card import FIGURES, Run, card_of
from recipes.packaged_reranker.held_out import Evaluated, prepare
from recipes.packaged_reranker.mining import mine, slice_of
from recipes.packaged_reranker.recipe import FAMILIES, NAME, PASSAGES, QUERIES, SEED, WEIGHT, Source
from recipes.packaged_reranker.validation import DEPTH, figures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nightrank.tasks.rerank.packaged import RerankerCard

MADE_OF = "made_of.json"  # beside each source, and beside the checkpoints
NOT_DECISIVE = {"steps", "decay_steps", "threads", "checkpoint_seconds"}  # a training may go on to more steps
STEADY = "steady"  # the folder of the training at its constant rate, which more steps go on from
AVERAGED, RUN = "averaged.safetensors", "run.json"
REPORT_EVERY = 25  # steps


@stage_task("mine sources")
def mine_sources(
    sources: Sequence[Source], data: Path, output: Path, *, evaluated: Sequence[Path], sparse: str, device: str = "auto"
) -> None:
    """Prepare and mine every source, each into a training set's folder; those that are there are used again.

    Raises:
        InputError: One is there, made of another recipe, data, seed or encoder; or data is not as it should be.
    """
    encoders = load_encoders(base=data, sparse=sparse, device=device)
    digests = {source.name: digests_of(data / source.path) for source in sources}
    read = fingerprint([digests, [asdict(source) for source in sources], [digests_of(one) for one in evaluated]])
    made_of = {
        source.name: {
            "source": asdict(source),
            "data": digests[source.name],
            "all that was read": read,
            "slice": [PASSAGES, QUERIES],
            "seed": SEED,
            "encoders": list(encoders.fingerprints),
        }
        for source in sources
    }
    missing = set[str]()
    for source in sources:
        folder = output / "sources" / source.name
        if folder.is_dir():
            require_made_of(made_of[source.name], folder / MADE_OF)
        else:
            missing.add(source.name)
    if not missing:
        return
    for source, prepared in prepare(sources, data, Evaluated.of(evaluated)):
        if source.name not in missing:
            continue
        made = mine(source, slice_of(source, prepared), encoders)
        staging = output / "sources" / f".{source.name}.writing"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        write_training_set(staging, made)
        counts = {"mined": len(made.mined), "held out": len(made.held_out), "passages": len(made.passages)}
        write_json(staging / MADE_OF, made_of[source.name] | {"licences": prepared.licences, "counts": counts})
        publish_folder(staging, output / "sources" / source.name)
        get_run_logger().info("%s: %s", source.name, counts)


@stage_task("train")
def train_on_sources(
    sources: Sequence[Source],
    output: Path,
    *,
    learning: LearningSettings,
    groups: GroupSettings,
    start: Path | None,
    device: str = "auto",
) -> Path:
    """The folder of the trained weights; training goes on from its last checkpoint.

    At first the rate is constant, in a folder of its own, so that a later call for more steps goes on from there; then
    it falls to 0, in a folder named for the steps.

    Raises:
        InputError: What was begun here learns otherwise, or from something else; or a source is not mined.
    """
    from safetensors.torch import save_file

    made_of = {
        "learning": learning.model_dump(mode="json", exclude=NOT_DECISIVE),
        "groups": groups.model_dump(mode="json"),
        "start": None if start is None else weights_digest(start),
        "sources": {source.name: fingerprint([_record(source, output)]) for source in sources},
    }
    if (output / MADE_OF).exists() or (output / STEADY / CHECKPOINT).exists():
        require_made_of(made_of, output / MADE_OF)
    write_json(output / MADE_OF, made_of)
    logger = get_run_logger()
    drawn = mined_sources(sources, output)

    def report(progress: Progress) -> None:
        if progress.step % REPORT_EVERY == 0:
            logger.info(
                "step %d of %d, %d pairs, %.0f s, loss %.3f, %.2f with the answer on top",
                *(progress.step, learning.steps, progress.pairs, progress.seconds, progress.loss),
                progress.first_share,
            )

    def learn(own: LearningSettings, folder: Path) -> Run:
        encoder = load_base(
            base_folder() if start is None else start,
            max_length=max(max(source.length_shares) for source in drawn.values()),
            device=resolve_device(device),
            seed=own.seed,
        )
        sampler = GroupSampler(drawn, groups)
        for name, left_out in sampler.left_out.items():
            logger.info("%s: %d queries are left out, with too few passages that are no answer", name, left_out)
        learnt = train(encoder, sampler, own, folder=folder, report=report)
        save_file(learnt.parameters, folder / AVERAGED)
        run = Run(learnt.pairs, learnt.steps, learnt.tokens, round(learnt.seconds), resolve_device(device))
        write_json(folder / RUN, asdict(run))
        return run

    steady, falling = output / STEADY, output / f"falling-{learning.steps}"
    steady.mkdir(exist_ok=True)
    before = learning.model_copy(update={"steps": learning.steps - learning.decay_steps, "decay_steps": 1})
    if not (falling / CHECKPOINT).exists():
        learn(before, steady)
        falling.mkdir(exist_ok=True)
        with replacing(falling / CHECKPOINT) as writing:
            shutil.copyfile(steady / CHECKPOINT, writing)
    learn(learning, falling)
    return falling


@stage_task("export reranker")
def export_reranker(
    sources: Sequence[Source],
    output: Path,
    *,
    trained: Path,
    learning: LearningSettings,
    groups: GroupSettings,
    start: Path | None,
    device: str = "auto",
) -> Path:
    """The model's folder: the delta, and a card with what it is worth on what was never learnt from."""
    from safetensors.torch import load_file

    folder = output / f".{NAME}.writing"  # until it is measured, nobody is to use it
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    save_delta(folder / DELTA_FILE, base_parameters(base_folder()), load_file(trained / AVERAGED))
    records = {source.name: _record(source, output) for source in sources}
    card = card_of(
        folder,
        sources,
        licences={name: record["licences"] for name, record in records.items()},
        mined={source.name: records[source.name]["counts"]["mined"] for source in sources if not source.left_out},
        learning=learning,
        groups=groups,
        start=start,
        run=Run(**json.loads((trained / RUN).read_bytes())),
        weight=WEIGHT,
        figures={},
    )
    _write_card(folder, card)  # the folder must be whole to be loaded: what ships is measured
    sets = {source: read_training_set(output / "sources" / source.name) for source in sources}
    table = figures(folder, sets, device=resolve_device(device))
    card = card.model_copy(update={"figures": {FIGURES.format(depth=DEPTH): table}})
    _write_card(folder, card)
    shutil.rmtree(output / NAME, ignore_errors=True)
    publish_folder(folder, output / NAME)
    return output / NAME


def mined_sources(sources: Sequence[Source], output: Path) -> dict[str, MinedSource]:
    """What is learnt from, by name: a family's share is parted by the root of its sources' queries, times their weight.

    A source of which nothing was mined is left out.
    """
    sets = {source: read_training_set(output / "sources" / source.name) for source in sources if not source.left_out}
    weights = {source: source.weight * math.sqrt(len(found.mined)) for source, found in sets.items() if found.mined}
    of_family = {name: sum(own for source, own in weights.items() if source.family == name) for name in FAMILIES}
    return {
        source.name: MinedSource(
            sets[source].passages,
            sets[source].mined,
            share=FAMILIES[source.family].share * weight / of_family[source.family],
            held=sets[source].held,
            length_shares=FAMILIES[source.family].length_shares,
            label_share=FAMILIES[source.family].label_share,
        )
        for source, weight in weights.items()
    }


def weights_digest(folder: Path) -> str:
    """The SHA-256 of a model's own file of weights: a delta's, or the whole model's.

    Raises:
        InputError: There is none.
    """
    for name in (DELTA_FILE, "model.safetensors"):
        if (folder / name).is_file():
            return sha256_of_file(folder / name)
    raise InputError(f"{folder} holds no model.", remedy="Name the folder of an earlier reranker, or of a model.")


def digests_of(path: Path) -> dict[str, str]:
    """The digests of a file of pairs, or of the files of a folder in BEIR layout, by name."""
    if path.is_file():
        return {path.name: sha256_of_file(path)}
    files = [*path.glob("*.jsonl*"), *path.glob("qrels/*.tsv"), *path.glob("qrels.tsv")]
    return {str(file.relative_to(path)): sha256_of_file(file) for file in sorted(files)}


def require_made_of(expected: Mapping[str, object], record: Path) -> None:
    """See whether something was made of what it would be made of now.

    Args:
        expected: What it would be made of.
        record: Says what it was made of.

    Raises:
        InputError: It was made of something else, or the record is not there.
    """
    try:
        found = json.loads(record.read_bytes())
    except (OSError, ValueError):
        found = {}
    differing = sorted(name for name, value in expected.items() if found.get(name) != value)
    if differing:
        message = f"What is in {record.parent} was made with another {', another '.join(differing)}."
        message = message if found else f"What is in {record.parent} does not say what it was made of."
        raise InputError(message, remedy="Remove it, or give another --output.")


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write values as JSON, whole or not at all."""
    write_text(path, json.dumps(values, indent=2) + "\n")


def _record(source: Source, output: Path) -> dict[str, Any]:
    """What a mined source was made of, and how much of it there is."""
    path = output / "sources" / source.name / MADE_OF
    if not path.is_file():
        raise InputError(f"{path} is missing: the source is not mined.", remedy="Name the data with --data.")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def _write_card(folder: Path, card: RerankerCard) -> None:
    write_text(folder / CARD_FILE, card.model_dump_json(indent=2) + "\n")

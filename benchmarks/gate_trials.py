"""What do the gates let through, and what do they stop? Honest changes and planted faults on a real collection.

    python -m benchmarks.gate_trials --data FOLDER --work FOLDER [--collection NAME] [--trial WORDS]

One release of a collection is published with the packaged models and the default gates: of Cranfield (``cran``) 200
documents and all 225 queries, up to 60 of them judged; of SciFact (``scifact``) and of Vaswani (``vaswani``) 1,000
documents, those first that answer the 60 judged queries, which alone are asked.
Each trial is one night on a copy of that workspace, in which something has changed: what an honest night brings (churn,
another chunk size, another model), which must not be refused by the gates for queries that nobody judged, or a fault,
which must be refused. Whether an honest change is worse on judged queries is for the gates of quality to say. Printed
is which gates refused, and what they say.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pyarrow as pa

from benchmarks.churn import churn_of
from benchmarks.inputs.beir_folders import parsed, parser
from benchmarks.inputs.foreign_tokenizers import (
    cased,
    packaged_embedder,
    packaged_reranker,
    shuffled,
    trained_on,
    with_tokenizer,
)
from benchmarks.inputs.synthetic_edits import churned
from benchmarks.parts.plain_nights import refresh_plainly
from benchmarks.parts.settings_files import write_settings_file
from nightrank.flows.night.summary import Refused
from nightrank.storage.keys import digest
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.stages import rerank as rerank_stage

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.inputs.synthetic_edits import Row
    from benchmarks.parts.settings_files import Value

SEED = 5183
HELD_BACK = 0.02
JUDGED = 60  # queries
DEPTH = 10  # candidates a query that are reranked


class Collection(NamedTuple):
    """What is taken of a collection.

    Attributes:
        documents: How many.
        judged_alone: Whether nothing but the judged queries is asked.
    """

    documents: int
    judged_alone: bool


COLLECTIONS = {"cran": Collection(200, False), "scifact": Collection(1000, True), "vaswani": Collection(1000, True)}


@dataclass
class Night:
    """What a night is made from; a trial changes it.

    Attributes:
        documents: The collection.
        spare: Documents that may be added.
        qrels: Rows of the judgments.
        sections: Of the settings.
        work: A folder for models.
        stack: What is patched for the night.
    """

    documents: list[Row]
    spare: list[Row]
    qrels: list[Sequence[str]]
    sections: dict[str, dict[str, Value]]
    work: Path
    stack: ExitStack = field(default_factory=ExitStack)


class Trial(NamedTuple):
    """A change, and what becomes of it.

    Attributes:
        name: What is changed.
        is_honest: Whether the gates for queries that nobody judged must let it through.
        change: Makes the change.
        by: Gates one of which must refuse it; any where none is named.
    """

    name: str
    is_honest: bool
    change: Callable[[Night], None]
    by: frozenset[str] = frozenset()


def main() -> None:
    """Print the outcome of each trial; the exit code is 1 where one is not as it must be."""
    command = parser(__doc__ or "")
    command.add_argument("--collection", choices=COLLECTIONS, default="cran")
    command.add_argument("--trial", action="append", metavar="WORDS", help="only trials with these words in the name")
    options = parsed(command)
    work: Path = options.work / "gate_trials" / options.collection
    work.mkdir(parents=True, exist_ok=True)
    first = work / "workspace"
    if not (first / "current.json").is_file():
        shutil.rmtree(first, ignore_errors=True)
        _run(_inputs(options, work), work, first)
    chosen = [trial for trial in TRIALS if any(words in trial.name for words in options.trial or [""])]
    outcomes = [_outcome(trial, options, work, first) for trial in chosen]
    if options.json:
        print(json.dumps(outcomes))
    raise SystemExit(not all(outcome["as_it_must_be"] for outcome in outcomes))


def _outcome(trial: Trial, options: argparse.Namespace, work: Path, first: Path) -> dict[str, object]:
    copy = work / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(first, copy)
    night = _inputs(options, work)
    trial.change(night)
    told = _run(night, work, copy)
    outcome: dict[str, object] = {
        "trial": trial.name,
        "published": not told,
        "gates": told,
        "as_it_must_be": UNJUDGED.isdisjoint(told)
        if trial.is_honest
        else bool((trial.by or told.keys()) & told.keys()),
    }
    if not options.json:
        print(f"{trial.name}: {'published' if not told else 'refused'}", flush=True)
        for gate, reason in told.items():
            print(f"    {gate}: {reason}")
    return outcome


def _run(night: Night, work: Path, workspace: Path) -> dict[str, str]:
    """Run a night; the gates that refused it, with their reasons."""
    rows = (json.dumps(document, ensure_ascii=False) for document in night.documents)
    (work / "corpus.jsonl").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    judged = ("\t".join(row) for row in (("query-id", "corpus-id", "score"), *night.qrels))
    (work / "qrels.tsv").write_text("".join(f"{row}\n" for row in judged), encoding="utf-8")
    sections: dict[str, Mapping[str, Value]] = {"": {"workspace": workspace.name}, **night.sections}
    settings = write_settings_file(work / "nightrank.toml", sections)
    with night.stack:
        try:
            gates = refresh_plainly(settings).manifest.gates
        except Refused as refused:
            gates = refused.summary.manifest.gates
    for gate in gates:
        if gate.name in WATCHED:
            print(f"        {gate.name}: {gate.value:.3f}", file=sys.stderr)
    return {gate.name: gate.reason for gate in gates if not gate.lets_through}


UNJUDGED = frozenset({"unrelated", "profile"})
BY_PROFILE = frozenset({"profile"})  # which needs no judgments
WATCHED = ("non_inferiority", "overlap", "overlap_drift", "top1_drift", "quality_drift", "unrelated", "profile")


def _inputs(options: argparse.Namespace, work: Path) -> Night:
    data: Path = options.data / options.collection
    taken = COLLECTIONS[options.collection]
    rows = [json.loads(line) for line in (data / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    lines = (data / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    qrels = [line.split("\t") for line in lines]
    if taken.judged_alone:
        judged = set(random.Random(SEED).sample(sorted({row[0] for row in qrels}), JUDGED))
        relevant = {row[1] for row in qrels if row[0] in judged}
        random.Random(SEED).shuffle(rows)
        rows = sorted(rows, key=lambda row: row["_id"] not in relevant)[: taken.documents]
        random.Random(SEED).shuffle(rows)
    else:
        rows = random.Random(SEED).sample(rows, taken.documents)
    held_back = round(HELD_BACK * len(rows))
    there = {row["_id"] for row in rows}
    qrels = [row for row in qrels if row[1] in there]
    log = data / "queries.jsonl"
    if taken.judged_alone:
        asked = [line for line in log.read_text(encoding="utf-8").splitlines() if json.loads(line)["_id"] in judged]
        log = work / "queries.jsonl"
        log.write_text("".join(f"{line}\n" for line in asked), encoding="utf-8")
    else:
        judged = set(random.Random(SEED).sample(sorted({row[0] for row in qrels}), JUDGED))
    sections: dict[str, dict[str, Value]] = {
        "documents": {"source": "corpus.jsonl"},
        "queries": {"log": str(log.resolve())},
        "judgments": {"qrels": "qrels.tsv"},
        "reranker": {"depth": DEPTH},
        "evaluation": {"timed_queries": "none"},
    }
    return Night(rows[held_back:], rows[:held_back], [row for row in qrels if row[0] in judged], sections, work)


def _churn(share: float) -> Callable[[Night], None]:
    def change(night: Night) -> None:
        churn = churn_of(share, len(night.documents))
        night.documents = churned(night.documents, night.spare, churn, generator=random.Random(f"{SEED} {share}"))

    return change


def _metadata(night: Night) -> None:
    night.documents[0] = {**night.documents[0], "metadata": {"edition": 2}}


def _chunk_size(night: Night) -> None:
    night.sections["chunking"] = {"max_tokens": 96}


def _without_layers(night: Night) -> None:
    """Another dual encoder: the packaged one without its last two layers."""
    from sentence_transformers import SentenceTransformer

    folder = night.work / "four-layers"
    if not folder.is_dir():
        model = SentenceTransformer(str(packaged_embedder()), local_files_only=True, device="cpu")
        network: Any = model[0].auto_model
        network.encoder.layer = network.encoder.layer[:4]
        network.config.num_hidden_layers = 4
        model.save(str(folder))
    night.sections["embedder"] = {"model": str(folder.resolve())}


def _without_reranker(night: Night) -> None:
    night.sections["reranker"] = {"model": "none"}


def _half_the_vocabulary(night: Night) -> None:
    """The packaged dual encoder, whose tokenizer knows every second word no more."""

    def halved(tokenizer: dict[str, Any]) -> dict[str, Any]:
        words: dict[str, int] = tokenizer["model"]["vocab"]
        stay = {word: number for word, number in words.items() if _stays(word)}
        return {**tokenizer, "model": {**tokenizer["model"], "vocab": stay}}

    _embed_with(night, "half-vocabulary", halved)


def _embed_with(night: Night, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    folder = with_tokenizer(packaged_embedder(), night.work / name, change)
    night.sections["embedder"] = {"model": str(folder.resolve())}


def _rerank_with(
    night: Night,
    name: str,
    change: Callable[[dict[str, Any]], dict[str, Any]],
    network: Callable[[Path], None] | None = None,
) -> None:
    """The packaged reranker with another tokenizer, and another network where ``network`` changes its folder."""
    is_new = not (night.work / name).is_dir()
    plain = night.work / "reranker"
    if not plain.is_dir():
        packaged_reranker(plain)
    folder = with_tokenizer(plain, night.work / name, change)
    if is_new and network is not None:
        network(folder)
    night.sections["reranker"] = {"model": str(folder.resolve()), "depth": DEPTH}


def _embedder_shuffled(night: Night) -> None:
    _embed_with(night, "embedder-shuffled", shuffled)


def _embedder_of_others(night: Night) -> None:
    _embed_with(night, "embedder-of-others", trained_on(str(row["text"]) for row in night.documents))


def _embedder_cased(night: Night) -> None:
    _embed_with(night, "embedder-cased", cased)


def _reranker_as_folder(night: Night) -> None:
    _rerank_with(night, "reranker-same", lambda tokenizer: tokenizer)


def _reranker_without_a_layer(night: Night) -> None:
    """Another reranker: the packaged one without its last layer."""

    def shorter(folder: Path) -> None:
        from transformers import AutoModelForSequenceClassification

        network: Any = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
        network.bert.encoder.layer = network.bert.encoder.layer[:-1]
        network.config.num_hidden_layers -= 1
        network.save_pretrained(folder)

    _rerank_with(night, "reranker-shorter", lambda tokenizer: tokenizer, shorter)


def _reranker_shuffled(night: Night) -> None:
    _rerank_with(night, "reranker-shuffled", shuffled)


def _reranker_of_others(night: Night) -> None:
    _rerank_with(night, "reranker-of-others", trained_on(str(row["text"]) for row in night.documents))


def _stays(word: str) -> bool:
    return word.startswith("[") or len(word.removeprefix("##")) == 1 or digest(word) < "8"


def _half_the_terms(night: Night) -> None:
    """BM25's analysis drops every second word, of documents and queries alike; the index is made anew."""
    terms_of = Analyser.__call__

    def broken(self: Analyser, words: list[str], language: int, /) -> Sequence[str | None]:
        terms = terms_of(self, words, language)
        return [None if term is None or digest(term) < "8" else term for term in terms]

    night.stack.enter_context(patch.object(Analyser, "__call__", broken))
    night.stack.enter_context(patch("nightrank.flows.night.build.PIPELINE", "planted"))


def _upside_down(night: Night) -> None:
    """The order of queries that nobody judged is turned around, where the night makes it."""
    judged = {row[0] for row in night.qrels}
    asked = (night.work / night.sections["queries"]["log"]).read_text(encoding="utf-8").splitlines()  # type: ignore[operator]
    from nightrank.storage.keys import query_key

    keys = {query_key(row["text"]) for row in map(json.loads, asked) if row["_id"] in judged}
    order = rerank_stage.final_order  # type: ignore[attr-defined]  # as the stage knows it

    def broken(*args: object, **kwargs: object) -> pa.Table:
        table = order(*args, **kwargs)  # type: ignore[arg-type]
        turned = table.to_pandas()
        mine = ~turned["query_key"].isin(keys)
        last = turned.groupby("query_key")["rank"].transform("max")
        turned.loc[mine, "rank"] = (last - turned["rank"] + 1)[mine].astype(np.int32)
        turned.loc[mine, "score"] = -turned.loc[mine, "score"]
        turned = turned.sort_values(["query_key", "rank"], kind="stable")
        return pa.Table.from_pandas(turned, schema=table.schema, preserve_index=False)

    night.stack.enter_context(patch.object(rerank_stage, "final_order", broken))
    _metadata(night)


def _texts_lost(night: Night) -> None:
    for place in range(0, len(night.documents), 2):
        night.documents[place] = {**night.documents[place], "text": ""}


def _judgments_lost(night: Night) -> None:
    """The texts of 1 in 12 judged documents are gone, and so are the judgments of the queries that lose by it."""
    relevant = sorted({row[1] for row in night.qrels if int(row[2]) > 0})
    emptied = set(relevant[::12])
    night.documents = [
        {**row, "title": "", "text": "none"} if row["_id"] in emptied else row for row in night.documents
    ]
    touched = {row[0] for row in night.qrels if row[1] in emptied}
    night.qrels = [row for row in night.qrels if row[0] not in touched]


TRIALS = (
    Trial("other metadata of one document", True, _metadata),
    Trial("1 % of the documents changed", True, _churn(0.01)),
    Trial("20 % of the documents changed", True, _churn(0.2)),
    Trial("chunks of 96 tokens", True, _chunk_size),
    Trial("a dual encoder of four layers", True, _without_layers),
    Trial("no reranker", True, _without_reranker),
    Trial("the packaged reranker as a folder", True, _reranker_as_folder),
    Trial("a reranker without its last layer", True, _reranker_without_a_layer),
    Trial("a tokenizer that keeps capitals, where there are few", True, _embedder_cased),
    Trial("half of the texts empty", False, _texts_lost),
    Trial("judgments lost with what lost", False, _judgments_lost),
    Trial("half of the tokenizer's vocabulary lost", False, _half_the_vocabulary),
    Trial("the dual encoder's vocabulary shuffled", False, _embedder_shuffled, BY_PROFILE),
    Trial("a dual encoder with another's tokenizer", False, _embedder_of_others, BY_PROFILE),
    Trial("the reranker's vocabulary shuffled", False, _reranker_shuffled, BY_PROFILE),
    Trial("a reranker with another's tokenizer", False, _reranker_of_others, BY_PROFILE),
    Trial("half of BM25's terms lost", False, _half_the_terms),
    Trial("queries that nobody judged upside down", False, _upside_down),
)


if __name__ == "__main__":
    main()

"""The stages that both trainings begin with: pairs are gathered, split by document, and mined from the release."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.errors import InputError
from nightrank.storage.files.parquet import read_table, write_table
from nightrank.storage.filters.queries import by_text
from nightrank.storage.keys import sha256_of_file
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.release.files import ReleaseFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.embed.encoder import Embedder
from nightrank.tasks.models.card import PairsGathered, PairsMined
from nightrank.tasks.query_log.file.find import log_files
from nightrank.tasks.query_log.file.rows import LogFile
from nightrank.tasks.query_log.select import SALT_BYTES
from nightrank.tasks.read.account import Account
from nightrank.tasks.runtime.stage_task import stage_task
from nightrank.tasks.sparse.stored import stored_sparse
from nightrank.tasks.train.mining import Miner, mine_all
from nightrank.tasks.train.pairs import (
    PairsFound,
    by_query,
    pairs_of_clicks,
    pairs_of_documents,
    pairs_of_file,
    pairs_of_judgments,
    pairs_of_table,
    queries_by_id,
    table_of,
)
from nightrank.tasks.train.passages import PassageIndex
from nightrank.tasks.train.search import ReleaseIndex
from nightrank.tasks.train.sets import TrainingSet, write_training_set
from nightrank.tasks.train.split import hold_out_documents, split_queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nightrank.tasks.models.card import Origin
    from nightrank.tasks.train.job import TrainingJob
    from nightrank.tasks.train.pairs import NamedQuery
    from nightrank.tasks.train.search import Chunks
    from nightrank.tasks.train.sets import HeldOutQuery
    from nightrank.tasks.train.settings import PairSettings
    from nightrank.tasks.train.sources import Passage

CHUNKS_AT_ONCE = 4096


@stage_task("gather pairs")
def gather_pairs(job: TrainingJob, asked: PairSettings) -> PairsGathered:
    """Gather the pairs to learn from, and settle which release is mined.

    They are gathered anew where the release that was to be mined has been pruned meanwhile.

    Raises:
        InputError: Nothing is published, the settings have changed since, a file is not as it should be, or there are
            no pairs.
    """
    gathered = job.once("gathered", PairsGathered, lambda: _gather(job, asked))
    if job.has_done("mined") or job.workspace.manifest_of(gathered.release_id) is not None:
        return gathered
    job.forget("gathered")
    return job.once("gathered", PairsGathered, lambda: _gather(job, asked))


@stage_task("mine")
def mine_pairs(job: TrainingJob, asked: PairSettings, gathered: PairsGathered) -> PairsMined:
    """Split the pairs by document, and find each query's negatives, or its candidates, in the release.

    Raises:
        InputError: Too few pairs are left on a side of the split.
    """
    try:
        return job.once("mined", PairsMined, lambda: _mine(job, asked, gathered))
    except InputError:
        job.forget("gathered")  # from these pairs, or this release, it would fail for ever
        raise


def _gather(job: TrainingJob, asked: PairSettings) -> PairsGathered:
    with job.workspace.reading():
        release_id = job.workspace.require_current()
        with _index(job, release_id) as index:
            origin, (pairs, filtered) = _pairs(job, asked, index)
    grouped = by_query(pair for pair in pairs if pair.query)
    names = sorted(grouped)
    if not names:
        message = f"There is no pair to learn from among the {origin}"
        message += f"; {filtered} are of queries with a filter, which are not learnt from." if filtered else "."
        raise InputError(message, remedy="Give pairs with --pairs or --qrels, or a log with a column `clicked`.")
    drawn = np.random.default_rng(asked.seed).permutation(len(names))[: asked.max_pairs]
    kept = [pair for place in sorted(drawn.tolist()) for pair in grouped[names[place]]]
    write_table(job.pairs, table_of(kept))
    return PairsGathered(
        origin=origin,
        release_id=release_id,
        queries=drawn.size,
        queries_left_out=len(names) - drawn.size,
        pairs=len(kept),
        judged=origin == "judgments" and _are_the_settings_own(job, asked.qrels),
        filtered=filtered,
    )


def _pairs(job: TrainingJob, asked: PairSettings, index: ReleaseIndex) -> tuple[Origin, PairsFound]:
    """The pairs, from the first source that is asked for or, where none is, that has any."""
    if asked.pairs is not None:
        return "pairs", PairsFound(pairs_of_file(asked.pairs), 0)
    if asked.qrels is not None:
        return "judgments", pairs_of_judgments(asked.qrels, name=str(asked.qrels), queries=_queries(job, asked))
    if asked.origin == "clicks" or (asked.origin == "auto" and job.settings.queries.log is not None):
        clicked = pairs_of_clicks(job.settings.queries, base=job.base, salt=secrets.token_bytes(SALT_BYTES))
        if clicked.pairs or asked.origin == "clicks":
            return "clicks", clicked
    qrels = job.settings.judgments.qrels
    if asked.origin == "judgments" and qrels is None:
        raise InputError("The settings name no judgments to learn from.", remedy="Give some with --qrels.")
    if asked.origin in {"auto", "judgments"} and qrels is not None:
        return "judgments", pairs_of_judgments(job.base / qrels, name=qrels, queries=_queries(job, asked))
    drawn = np.random.default_rng(asked.seed).permutation(len(index))[: asked.max_pairs]
    passages = (passage for chunks in _blocks(index, drawn) for passage in chunks.passages)
    return "documents", PairsFound(pairs_of_documents(passages), 0)


def _are_the_settings_own(job: TrainingJob, qrels: Path | None) -> bool:
    """Whether they say the same, wherever they lie."""
    own = job.settings.judgments.qrels
    if qrels is None:
        return True
    own_file = None if own is None else job.base / own
    return own_file is not None and own_file.is_file() and sha256_of_file(own_file) == sha256_of_file(qrels)


def _queries(job: TrainingJob, asked: PairSettings) -> dict[str, NamedQuery]:
    own = job.settings.queries
    if asked.queries is None:
        logs = log_files(own, base=job.base, account=Account())
    else:
        logs = [LogFile.at(asked.queries, name=str(asked.queries), account=Account())]
    queries: dict[str, NamedQuery] = {}
    for log in logs:
        queries |= queries_by_id(log, personal_data=own.personal_data)
    return queries


def _mine(job: TrainingJob, asked: PairSettings, gathered: PairsGathered) -> PairsMined:
    grouped = by_query(pairs_of_table(read_table(job.pairs)))
    documents_of = {query: {pair.document_id for pair in pairs} for query, pairs in grouped.items()}
    generator = np.random.default_rng(asked.seed)
    held = hold_out_documents(
        documents_of, share=asked.held_out_share, most=asked.held_out_queries, generator=generator
    )
    learnt, measured = split_queries(documents_of, held)
    execution = job.settings.execution
    embedder = Embedder(job.embedder, batch_tokens=execution.batch_tokens, threads=execution.threads)
    with job.workspace.reading(), _index(job, gathered.release_id) as index:
        own = index.read(index.numbers_of(held))
        given = [pair.passage for pairs in grouped.values() for pair in pairs if pair.passage is not None]
        passage_index = PassageIndex(
            titled=gathered.origin != "documents" and not _lacks_titles(index, given),
            held_documents=held,
            held_passages=[*own.passages, *(passage for passage in given if passage.document_id in held)],
        )
        miner = Miner(passage_index, embedder.embed_passages, asked.negatives_kept)
        mined, held_out = mine_all(index, miner, embedder.embed_queries, grouped, learnt=learnt, measured=measured)
        if not held_out or not mined:
            message = (
                f"{len(mined)} queries are left to learn from and {len(held_out)} to measure on, of {len(grouped)}; "
                "a side is empty."
            )
            raise InputError(message, remedy="Give more pairs, whose documents are in the collection.")
        evaluated = _evaluated(index, passage_index, held_out, own, most=asked.evaluated_passages, generator=generator)
    training_set = TrainingSet(passage_index.passages, mined, held_out, passage_index.held, evaluated)
    write_training_set(job.folder, training_set)
    return PairsMined(
        queries=len(mined),
        queries_without_passage=len(learnt) + len(measured) - len(mined) - len(held_out),
        queries_straddling=len(grouped) - len(learnt) - len(measured),
        held_out_queries=len(held_out),
        held_out_documents=len(held),
        pairs=sum(len(query.answers) for query in mined),
        negatives=sum(len(query.negatives) for query in mined),
        false_negatives=dict(miner.false_negatives),
        passages=len(passage_index.passages),
        evaluated_passages=len(evaluated),
        whole_collection=len(index) <= asked.evaluated_passages,
    )


def _lacks_titles(index: ReleaseIndex, given: Sequence[Passage]) -> bool:
    """Whether a passage without a title was given of a document whose title the release does not know either."""
    untitled = pa.array(sorted({passage.document_id for passage in given if not passage.title}), pa.string())
    known = pc.is_in(untitled, value_set=index.listing.column("document_id").combine_chunks())
    return not pc.all(known, min_count=0).as_py()


def _evaluated(
    index: ReleaseIndex,
    passage_index: PassageIndex,
    held_out: Sequence[HeldOutQuery],
    own: Chunks,
    *,
    most: int,
    generator: np.random.Generator,
) -> tuple[int, ...]:
    """The places of the passages that held-out queries are measured over: all there are, or the most telling.

    Of a larger collection these are the answers, the candidates of all queries, best first, up to half of them, and
    others drawn at random.
    """
    relevant = {document for query in held_out for document in query.relevant}
    places = dict.fromkeys(
        place for place, passage in enumerate(passage_index.passages) if passage.document_id in relevant
    )
    places |= dict.fromkeys(
        passage_index.put(passage) for passage in own.passages if not passage_index.is_empty(passage)
    )
    needed = len(places)
    if len(index) > most:
        deepest = max(len(query.candidates) for query in held_out)
        by_rank = (
            query.candidates[rank].place
            for rank in range(deepest)
            for query in held_out
            if rank < len(query.candidates)
        )
        for place in by_rank:
            if len(places) >= most // 2:
                break
            places[place] = None
    for chunks in _blocks(index, generator.permutation(len(index))[:most]):
        for passage in chunks.passages:
            if not passage_index.is_empty(passage):
                places[passage_index.put(passage)] = None
    ordered = list(places)
    return tuple(sorted(ordered if len(index) <= most else ordered[: max(most, needed)]))


def _blocks(index: ReleaseIndex, numbers: NDArray[np.integer]) -> Iterator[Chunks]:
    """Some chunks, a block of them in memory at a time."""
    for start in range(0, numbers.size, CHUNKS_AT_ONCE):
        yield index.read(np.sort(numbers[start : start + CHUNKS_AT_ONCE]).astype(np.int32))


@contextmanager
def _index(job: TrainingJob, release_id: str) -> Iterator[ReleaseIndex]:
    """The release, open; readers' lock is the caller's.

    Raises:
        InputError: It was made with another embedder or analysis than the settings have.
    """
    manifest = read_manifest(job.workspace, release_id)
    analyser = Analyser.of(job.settings.bm25)
    if (job.embedder.fingerprint, analyser.fingerprint()) != (manifest.inputs.embedder, manifest.inputs.analysis):
        message = f"The embedder or the analysis in the settings is not what the release {release_id} was made with."
        raise InputError(message, remedy="Run `nightrank refresh` first.")
    files = ReleaseFiles.of(job.workspace, release_id)
    table = ChunkTable.of_release(job.workspace.lance, name=manifest.chunk_table.name, release_id=release_id)
    candidates = files.candidates.read(["query_key", "chunk_hash", "pair_score"])
    candidates = by_text(candidates, files.queries.read())
    with (
        Bm25Store.open(files.statistics.path) as store,
        stored_sparse(job.settings, job.workspace, made_with=manifest.inputs.sparse, base=job.base) as sparse,
    ):
        yield ReleaseIndex.of(job.settings, store, table, candidates=candidates, sparse=sparse)

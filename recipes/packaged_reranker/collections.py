"""The sources of the packaged reranker, each prepared once as a training set: read, split by document, mined.

Splitting and mining are those of ``nightrank train``, over stores that are made of the source's passages for it.

No query of a test split is read. Of its judgments only the documents are, and where titles or sentences are the
queries, passages that a test split judges are neither asked for nor shown: whoever measures on that split finds
strangers.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nightrank.storage.bm25.build import build_bm25
from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.keys import fingerprint, normalise_query
from nightrank.storage.lance.place import LanceFolder
from nightrank.storage.lance.table import ChunkTable
from nightrank.storage.records import CHUNKS, Chunk
from nightrank.storage.release.files import ReleaseFiles
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.chunk.pieces import split_pieces
from nightrank.tasks.settings.whole import Settings
from nightrank.tasks.train.mining import Miner, mine_all
from nightrank.tasks.train.pairs import Pair, by_query
from nightrank.tasks.train.passages import PassageIndex
from nightrank.tasks.train.search import ReleaseIndex
from nightrank.tasks.train.sets import TrainingSet, write_training_set
from nightrank.tasks.train.split import hold_out_documents, split_queries
from recipes.packaged_reranker.recipe import DEPTH, HELD_SHARE
from recipes.packaged_reranker.sources import judged_in_test, page_of, read_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from nightrank.tasks.train.sources import Passage
    from recipes.packaged_reranker.recipe import Recipe
    from recipes.packaged_reranker.sources import Source

    Embed = Callable[[Sequence[str]], NDArray[np.float32]]
    Pairs = Mapping[str, Sequence[Pair]]

MIN_SENTENCE_WORDS = 6
SETTINGS = Settings.model_validate(
    {"documents": {"source": "."}, "queries": {"log": "."}, "retrieval": {"candidate_depth": DEPTH}}
)
NO_CANDIDATES = pa.schema([("query_key", pa.string()), ("chunk_hash", pa.string()), ("pair_score", pa.float32())])


def prepare_source(recipe: Recipe, data: Path, folder: Path, *, embed: Embed, seed: int) -> None:
    """Read, split and mine a source, and write it into ``folder``.

    Args:
        recipe: What to make.
        data: The folder of the data.
        folder: Where the training set goes; it exists.
        embed: The first stage's encoder: texts to unit vectors, float32 (n, dim).
        seed: Decides what is held out and drawn.

    Raises:
        InputError: A file is missing or not as it should be.
    """
    source = read_source(recipe, data)
    generator = np.random.default_rng(int(fingerprint([seed, recipe.path])[:16], 16))
    pairs, measured, held = _split(recipe, source, generator)
    removed_text: dict[str, str] = {}
    if recipe.asks != "queries":
        measured = {}
        held |= judged_in_test(data / recipe.path)
    passage_index = PassageIndex(
        titled=recipe.asks != "titles",
        held_documents=held,
        held_passages=[passage for passage in source.passages if passage.document_id in held],
    )
    if recipe.asks == "titles":
        pairs = _titles(source, passage_index, every=recipe.every)
    elif recipe.asks == "sentences":
        pairs, removed_text = _sentences(source, passage_index, every=recipe.every, generator=generator)
    learnt = _draw(pairs, recipe.training_queries, generator)
    for passage in source.passages:
        if not passage_index.is_empty(passage):
            passage_index.put(passage)
    with indexed(source.passages, embed) as index:
        miner = Miner(passage_index, embed, DEPTH)
        both = {**pairs, **measured}
        mined, held_out = mine_all(index, miner, embed, both, learnt=learnt, measured=list(measured))
    mined = [replace(query, removed_text=removed_text.get(query.query, "")) for query in mined]
    everything = tuple(range(len(passage_index.passages)))
    write_training_set(folder, TrainingSet(passage_index.passages, mined, held_out, passage_index.held, everything))


def _split(recipe: Recipe, source: Source, generator: np.random.Generator) -> tuple[Pairs, Pairs, frozenset[str]]:
    """The pairs of the queries to learn from, those of the queries to measure on, and the documents that are held."""
    if recipe.has_splits:
        pages = {page_of(pair.document_id) for pairs in source.pairs.values() for pair in pairs}
        ids = (passage.document_id for passage in source.passages)
        held = frozenset(document_id for document_id in ids if page_of(document_id) not in pages)
        kept = {query: source.pairs[query] for query in list(source.pairs)[:: recipe.every]}
        tested = _draw(source.tested, recipe.validation, generator)
        return kept, {query: source.tested[query] for query in tested}, held
    if not recipe.validation:
        return source.pairs, {}, frozenset()
    name_of = page_of if recipe.has_pages else str
    names_of = {query: {name_of(pair.document_id) for pair in pairs} for query, pairs in source.pairs.items()}
    names = hold_out_documents(names_of, share=HELD_SHARE, most=recipe.validation, generator=generator)
    learnt, measured = ({query: source.pairs[query] for query in queries} for queries in split_queries(names_of, names))
    ids = (passage.document_id for passage in source.passages)
    return learnt, measured, frozenset(document_id for document_id in ids if name_of(document_id) in names)


def _draw(pairs: Pairs, count: int, generator: np.random.Generator) -> list[str]:
    """At most so many of the queries, drawn at random, in their order."""
    queries = list(pairs)
    return [queries[place] for place in sorted(generator.permutation(len(queries))[:count].tolist())]


def _titles(source: Source, passage_index: PassageIndex, *, every: int) -> Pairs:
    """Titles as queries; nothing needs to be struck where titles are not shown."""
    asked = (passage for passage in source.passages[::every] if passage.title and not passage_index.is_held(passage))
    return by_query(Pair(normalise_query(passage.title), passage.document_id, 1, passage) for passage in asked)


def _sentences(
    source: Source, passage_index: PassageIndex, *, every: int, generator: np.random.Generator
) -> tuple[Pairs, dict[str, str]]:
    """One sentence of each passage as its query, and by query the sentence as it stands there."""
    pairs: list[Pair] = []
    removed_text: dict[str, str] = {}
    for passage in source.passages[every - 1 :: every]:
        sentences = [passage.text[piece.start : piece.end].strip() for piece in split_pieces(passage.text)]
        sentences = [sentence for sentence in sentences if len(sentence.split()) >= MIN_SENTENCE_WORDS]
        if len(sentences) > 1 and not passage_index.is_held(passage):
            sentence = sentences[generator.integers(len(sentences))]
            pairs.append(Pair(normalise_query(sentence), passage.document_id, 1, passage))
            removed_text.setdefault(pairs[-1].query, sentence)
    return by_query(pairs), removed_text


@contextmanager
def indexed(passages: Sequence[Passage], embed: Embed) -> Iterator[ReleaseIndex]:
    """Passages in stores of their own, each a chunk, as a release has its chunks; they go when they have been read."""
    with TemporaryDirectory() as name:
        files = ReleaseFiles(Path(name))
        chunks = list(_chunks(passages))
        text_of = {chunk.chunk_hash: chunk.text for chunk in chunks}
        vectors = embed(list(text_of.values()))
        table = ChunkTable.create(LanceFolder(files.folder / "lance"), embedder="source", dimensions=vectors.shape[1])
        table.add(list(text_of), list(text_of.values()), [0] * len(text_of), vectors)  # nobody asks for lengths here
        rows = [{name: getattr(chunk, name, "") for name in CHUNKS.names} | {"metadata": "{}"} for chunk in chunks]
        chunks_file = files.scratch.chunks
        chunks_file.path.parent.mkdir()
        chunks_file.write(pa.Table.from_pylist(rows, schema=CHUNKS))
        build_bm25(
            files.statistics.path,
            chunks_file.path,
            texts_of=lambda hashes: table.batches(hashes, ["text"]),
            analyse=Analyser.of(SETTINGS.bm25),
        )
        with Bm25Store.open(files.statistics.path) as store:
            yield ReleaseIndex.of(SETTINGS, store, table, candidates=NO_CANDIDATES.empty_table())


def _chunks(passages: Sequence[Passage]) -> Iterator[Chunk]:
    ordinals: dict[str, int] = {}
    for passage in passages:
        ordinal = ordinals[passage.document_id] = ordinals.get(passage.document_id, -1) + 1
        text = passage.model_text()
        yield Chunk(passage.document_id, ordinal, text, len(text) - len(passage.text))

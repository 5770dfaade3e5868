"""How fast are texts encoded into sparse vectors, and the exact top 100 of a whole log found among them?

    python -m benchmarks.sparse_retrieval [--small] [--model NAME] [--data FOLDER]

Both in one process and in turn. Encoding: the same chunks of two real collections, beside sentence-transformers'
``SparseEncoder.encode_document`` with several batch sizes, of which the fastest is the peer. Retrieval: made-up texts,
each of entries of two real ones, and queries that are encoded sentences; ours reads the vectors from the memo's file in
every lap, and SciPy holds them in memory: it multiplies its sparse matrices and picks the best of each row.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from scipy import sparse as sp

from benchmarks.inputs.lengths import described
from benchmarks.inputs.mixed_texts import mixed_chunks
from benchmarks.parts.claims import Claim, benchmark_parser, claim_of_rates, main_of
from benchmarks.parts.machine import matrix_rate
from benchmarks.parts.race import race
from nightrank.storage.memo.sparse_vectors import SparseMemo, SparseVectors, largest_difference
from nightrank.tasks.legs.texts import Texts
from nightrank.tasks.models.files import SPLADE_TINY
from nightrank.tasks.settings.index import SparseSettings
from nightrank.tasks.settings.operation import ExecutionSettings
from nightrank.tasks.sparse.encoder import SparseEncoder, SparsePlan, plan_sparse
from nightrank.tasks.sparse.retrieve import StoredSparseVectors, retrieve_sparse

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SEED = 20_240_601
SIZE, SMALL_SIZE = 1_000_000, 100_000
QUERIES, DEPTH = 2_000, 100
BATCH_SIZES = (8, 16, 32)
ROWS_AT_ONCE = 100  # of SciPy's product, so that it fits into memory
TEXTS_AT_ONCE = 20_000


def main() -> None:
    """Print the claims; the exit code is 1 where a target is missed."""
    parser = benchmark_parser(__doc__ or "")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of BEIR folders")
    parser.add_argument("--model", default=SPLADE_TINY, help="its name, a folder or a hub id")
    options = parser.parse_args()
    main_of(claims_of(options), options)


def claims_of(options: argparse.Namespace) -> list[Claim]:
    """Race, and say what came of it."""
    plan = plan_sparse(SparseSettings(model=options.model), ExecutionSettings(device="cpu"), base=Path())
    encoder = SparseEncoder(plan)
    chunks = [text for own in mixed_chunks(options.data, tokenizer=plan.files.folder).values() for text in own]
    size = 150 if options.small else 1200
    texts = [chunks[row] for row in np.random.default_rng(0).permutation(len(chunks))[:size]]
    vectors = encoder.encode_passages(texts)
    queries = encoder.encode_queries([_sentence_of(chunks[row % len(chunks)], row) for row in range(QUERIES)])
    count = SMALL_SIZE if options.small else SIZE
    return [
        encoding_claim(encoder, plan, texts, vectors, rounds=options.rounds),
        retrieval_claim(options.work / "sparse", vectors, queries, count=count, rounds=options.rounds),
    ]


def encoding_claim(
    encoder: SparseEncoder, plan: SparsePlan, texts: Sequence[str], vectors: SparseVectors, *, rounds: int
) -> Claim:
    """Texts a second, beside sentence-transformers."""
    theirs = _their_model(plan)
    runners: dict[str, Callable[[], object]] = {
        f"encode_document, {count} a batch": _encoding(theirs, texts, count) for count in BATCH_SIZES
    }
    peers = list(runners)
    runners["ours"] = lambda: encoder.encode_passages(texts)
    laps = race(runners, rounds=rounds)
    peer = min((laps[name] for name in peers), key=lambda one: one.median)
    dense = _encoding(theirs, texts, BATCH_SIZES[0])().to_dense().numpy()
    smallest = plan.settings.min_weight
    expected = SparseVectors.of(
        [(np.flatnonzero(row >= smallest).astype(np.int32), row[row >= smallest]) for row in dense]
    )
    encoded = theirs.tokenizer(list(texts), truncation=True, max_length=theirs.max_seq_length)
    lengths = np.array([len(ids) for ids in encoded["input_ids"]], dtype=np.int64)
    config = theirs[0].model.config
    layer = 4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size
    a_token = 2 * (config.num_hidden_layers * layer + config.hidden_size * (config.hidden_size + config.vocab_size))
    return claim_of_rates(
        f"sparse vectors of {len(texts)} chunks of {described(lengths)}",
        laps["ours"],
        peer,
        amount=len(texts),
        unit="chunks/s",
        target=3.0,
        equal=f"largest difference {largest_difference(vectors, expected, min_weight=smallest).max():.1e}",
        share_of_limit=a_token * int(lengths.sum()) / laps["ours"].median / matrix_rate(),
    )


def retrieval_claim(folder: Path, real: SparseVectors, queries: SparseVectors, *, count: int, rounds: int) -> Claim:
    """Queries a second, beside SciPy's product of sparse matrices."""
    shutil.rmtree(folder, ignore_errors=True)
    hashes = [f"{number:032x}" for number in range(count)]
    generator, made = np.random.default_rng(SEED), []
    with SparseMemo(folder, "texts", encoder="made-up") as memo:
        for first in range(0, count, TEXTS_AT_ONCE):
            made.append(_mixed(real, min(TEXTS_AT_ONCE, count - first), generator))
            memo.append(hashes[first : first + TEXTS_AT_ONCE], made[-1])
        texts, all_of_them = Texts.of(pa.array(hashes)), SparseVectors.joined(made)
        stored, vocabulary = StoredSparseVectors(memo), 1 + int(max(real.tokens.max(), queries.tokens.max()))
        left, right = _matrix(queries, vocabulary), _matrix(all_of_them, vocabulary).T.tocsr()

        def ours() -> pa.Table:
            return retrieve_sparse(queries, stored.everything(texts, queries=len(queries)), texts, depth=DEPTH)

        laps = race({"ours": ours, "SciPy": lambda: _best_of_product(left, right)}, rounds=rounds)
        found, theirs = ours(), _best_of_product(left, right)
    own = [part.to_numpy() for part in _by_query(found, len(queries))]
    same = sum(np.intersect1d(*pair).size for pair in zip(own, theirs, strict=True)) / max(1, found.num_rows)
    return claim_of_rates(
        f"sparse top {DEPTH} of {len(queries):,} queries of {queries.tokens.size / len(queries):.0f} tokens, "
        f"{count:,} texts of {all_of_them.tokens.size / count:.0f}",
        laps["ours"],
        laps["SciPy"],
        amount=len(queries),
        unit="queries/s",
        target=3.0,
        equal=f"{same:.2%} of our chunks found by it; ours are exact",
    )


def _mixed(real: SparseVectors, count: int, generator: np.random.Generator) -> SparseVectors:
    """Made-up vectors: each has about half of the entries of two real ones, the larger weight where both have one."""
    owners = np.tile(np.arange(count), 2)
    picked = real.take(generator.integers(len(real), size=2 * count))
    rows = np.repeat(owners, np.diff(picked.bounds))
    kept = generator.random(rows.size) < 0.5
    matrix = sp.coo_array((picked.weights[kept], (rows[kept], picked.tokens[kept])), shape=(count, 2**20)).tocsr()
    matrix.sort_indices()
    return SparseVectors(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)


def _matrix(vectors: SparseVectors, vocabulary: int) -> Any:  # noqa: ANN401 (scipy's stubs do not know its products)
    return sp.csr_array((vectors.weights, vectors.tokens, vectors.bounds), shape=(len(vectors), vocabulary))


def _best_of_product(left: Any, right: Any) -> list[NDArray[np.int64]]:  # noqa: ANN401
    """The columns of the ``DEPTH`` largest entries of each row of a product, in no order."""
    best = []
    for first in range(0, left.shape[0], ROWS_AT_ONCE):
        product = left[first : first + ROWS_AT_ONCE] @ right
        for row in range(product.shape[0]):
            part = slice(product.indptr[row], product.indptr[row + 1])
            values, columns = product.data[part], product.indices[part]
            if values.size > DEPTH:
                columns = columns[np.argpartition(values, -DEPTH)[-DEPTH:]]
            best.append(columns.astype(np.int64))
    return best


def _by_query(leg: pa.Table, count: int) -> list[pa.ChunkedArray]:
    starts = np.searchsorted(leg["query_number"].to_numpy(), np.arange(count + 1))
    return [leg["chunk_number"].slice(starts[row], starts[row + 1] - starts[row]) for row in range(count)]


def _sentence_of(text: str, number: int) -> str:
    """Some eight words of a text, from one place or another."""
    words = text.split()
    first = (7 * number) % max(1, len(words) - 8)
    return " ".join(words[first : first + 8])


def _their_model(plan: SparsePlan) -> Any:  # noqa: ANN401 (its network's type differs from model to model)
    import sentence_transformers

    model: Any = sentence_transformers.SparseEncoder(
        str(plan.files.folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
    )
    model.max_seq_length = min(model.max_seq_length or plan.settings.max_tokens, plan.settings.max_tokens)
    return model


def _encoding(model: Any, texts: Sequence[str], size: int) -> Callable[[], Any]:  # noqa: ANN401
    return lambda: model.encode_document(list(texts), batch_size=size, show_progress_bar=False)


if __name__ == "__main__":
    main()

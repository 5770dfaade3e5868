"""The answers of a release as the night would have cut them, had some documents not been among the candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from nightrank.storage.bm25.index import Bm25Store
from nightrank.storage.release.results.file import ResultsFile
from nightrank.tasks.rank.diversity import stored_vectors
from nightrank.tasks.rank.results import cut_results
from nightrank.tasks.snippets.answers import QUERIES_HELD, aliases_in, answer_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from nightrank.tasks.release import StoredRelease


class Answers(NamedTuple):
    """Answers that differ from those that a release holds.

    Attributes:
        rows: Query key, normalised text and results as JSON.
        aliases: The keys of their queries' aliases, with those of the queries.
    """

    rows: list[tuple[str, str, str]]
    aliases: list[tuple[str, str]]


def answers_without(release: StoredRelease, documents: Collection[str]) -> Answers:
    """What a release must answer without some documents, where that is something else than it does.

    Candidates keep their scores. Other queries may change than those that a document stood in: where results are
    diversified, what is relevant is said within the pool.

    Args:
        release: Its tables are read; LanceDB's must be kept from pruning (``Workspace.reading``) meanwhile.
        documents: Their ids; those that the release does not hold change nothing.

    Raises:
        MachineError: A store of the release cannot be read.
    """
    files, ids = release.files, pa.array(sorted(documents), pa.string())
    keys = pc.unique(files.candidates.read_rows("document_id", ids).column("query_key"))
    if not len(keys):
        return Answers([], [])
    queries = files.queries.read_rows("query_key", keys)
    with ResultsFile(files.results.path) as held:
        rows = [row for row in _cut(release, queries, ids) if _is_another(held.get(row[0]), row[2])]
    changed = {key for key, _, _ in rows}
    aliases = [alias for alias in aliases_in(queries) if alias[1] in changed]
    return Answers(rows, aliases)


def _cut(release: StoredRelease, queries: pa.Table, ids: pa.Array) -> Iterator[tuple[str, str, str]]:
    """The answers to some queries without some documents."""
    settings, table = release.settings, release.chunk_table()
    with Bm25Store.open(release.files.statistics.path) as store:
        for start in range(0, queries.num_rows, QUERIES_HELD):
            block = queries.slice(start, QUERIES_HELD)
            candidates = release.candidates(block)
            results = cut_results(
                candidates.filter(pc.invert(pc.is_in(candidates.column("document_id"), value_set=ids))),
                candidate_depth=settings.retrieval.candidate_depth,
                settings=settings.results,
                vectors=stored_vectors(table),
            )
            yield from answer_rows(settings, results, block, store, table)


class _Entry(msgspec.Struct, frozen=True):
    """What of a result tells it from others; how it is shown is another matter, and was in earlier versions."""

    document_id: str
    chunk_id: str
    score: float


_ENTRIES = msgspec.json.Decoder(list[_Entry])


def _is_another(held: tuple[str, bytes] | None, results: str) -> bool:
    return held is None or _ENTRIES.decode(held[1]) != _ENTRIES.decode(results)

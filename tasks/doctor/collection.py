"""Checks of what a release says of the collection: documents, chunks, vectors, BM25 statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.bm25.build import build_bm25
from nightrank.storage.doctor.chunks import chunk_faults, document_faults
from nightrank.storage.doctor.faults import Fault, count_fault
from nightrank.storage.doctor.statistics import read_texts, statistics_faults, write_chunks_and_texts
from nightrank.storage.doctor.vectors import vector_faults
from nightrank.storage.errors import NightrankError
from nightrank.storage.release.documents import documents_digest
from nightrank.storage.release.files import ReleaseFiles, ScratchFiles
from nightrank.storage.release.manifest import read_manifest
from nightrank.storage.release.whole import file_faults, stray_files
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.doctor.examined import Findings
from nightrank.tasks.runtime.progress import progress

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.tasks.doctor.examined import Examined


def check_documents(examined: Examined) -> Findings:
    """The documents are those that the release was made from, in their order, and each has chunks."""
    count, faults = document_faults(examined.files.statistics.path, examined.files.documents.path)
    counted = count_fault("documents", expected=examined.manifest.counts.documents, found=count)
    digested = (
        []
        if documents_digest(examined.files.documents.path) == examined.manifest.inputs.documents
        else [Fault("the documents' digest is not the manifest's")]
    )
    return Findings({"documents": count}, [*counted, *digested, *faults])


def check_chunks(examined: Examined) -> Findings:
    """Chunks are numbered in the order that breaks ties, and their ids and ordinals are sound."""
    count, faults = chunk_faults(examined.files.statistics.path)
    counted = count_fault("chunks", expected=examined.manifest.counts.chunks, found=count)
    return Findings({"chunks": count}, [*counted, *faults])


def check_vectors(examined: Examined) -> Findings:
    """Every chunk's text has one row in LanceDB, which says what its key says and has a sound vector."""
    table = examined.table()
    with progress("vectors", len(table)) as advance:
        count, faults = vector_faults(examined.files.statistics.path, table, on_rows=advance)
    return Findings({"vectors": count}, faults)


def check_statistics(examined: Examined) -> Findings:
    """Term frequencies, lengths, chunk counts and totals are those that the texts give, counted from nothing."""
    rebuilt = ReleaseFiles(examined.scratch).statistics.path
    with progress("BM25 statistics", 2) as advance:
        _build_from_texts(examined, rebuilt)
        advance(1)
        compared, faults = statistics_faults(examined.files.statistics.path, rebuilt)
        advance(1)
    counts = {"chunks": compared.chunks, "terms": compared.terms, "postings": compared.postings}
    return Findings(counts, faults)


def _build_from_texts(examined: Examined, target: Path) -> None:
    """Build the statistics of the release's chunks from nothing but their texts."""
    listing, texts = ScratchFiles(examined.scratch).chunks.path, examined.scratch / "texts.parquet"
    table = examined.table()
    write_chunks_and_texts(listing, texts, bm25=examined.files.statistics.path, table=table)
    analyser = Analyser.of(examined.settings.bm25)
    # From nothing every text is new, so what is asked for is all that was written.
    build_bm25(target, listing, texts_of=lambda _: read_texts(texts), analyse=analyser)


def check_files(examined: Examined) -> Findings:
    """Each file that the manifest names has its SHA-256, and there is no other."""
    manifest, folder = examined.manifest, examined.folder
    with progress("files", len(manifest.files)) as advance:
        faults = file_faults(folder, manifest, on_file=advance)
    return Findings({"files": len(manifest.files)}, [*faults, *stray_files(folder, manifest)])


def check_pointer(examined: Examined) -> Findings:
    """``current.json`` names a release that is committed and was accepted."""
    try:
        release_id = examined.workspace.require_current()
        status = read_manifest(examined.workspace, release_id).status
    except NightrankError as error:
        return Findings({"pointer": 1}, [Fault(error.message)])
    faults = [] if status == "accepted" else [Fault(f"current.json names {release_id}, which was {status}")]
    return Findings({"pointer": 1}, faults)

"""Build the example collection from the documentation that every Python carries.

    python -m recipes.demo_collection --output flows/demo/corpus.jsonl.gz

**Documents.** The docstrings of the standard library's public modules, classes, functions and methods, and the
language topics of ``pydoc``. An object is one document, under the name that people know: ``asyncio.run``,
not ``asyncio.runners.run``. A docstring counts when it is the object's own and says more than its name does. The keys
are BEIR's (``_id``, ``title``, ``text``, ``metadata``). The stored file was made by Python 3.11.7 on Linux; that
version writes it again byte for byte, another version writes what its own library says. The text is the Python
Software Foundation's: see ``LICENSE-PSF.txt``.

**Queries** (``queries.jsonl``) were written by the makers of Nightrank, by hand: keywords, how-to questions, error
messages and half-remembered names, as people type them into the search box of a documentation site. The counts are
invented and fall off as such counts do. No user's data is in them.

**Judgments** (``qrels.tsv``) were made by the makers of Nightrank too, by reading. For each judged query, the best 15
documents of a BM25 and of a dense retriever (all-MiniLM-L6-v2) were pooled and shown by name, without rank or source;
what the judge knew to be relevant was added; and each document was graded by its title and the opening of its text:
2 answers the query, 1 helps, 0 does neither. Documents outside the pool are unjudged. Each pool had one judge, so how
far two would agree is not known. A few queries have no document that answers them. The collection is there to show
the product and to catch regressions; it is too small and too kind to rank retrievers.
"""

import argparse
import gzip
import importlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from nightrank.storage.files.atomic import write_bytes
from recipes.demo_collection.docstrings import class_docstring, own_docstring, signature_line
from recipes.demo_collection.library import Sighting, canonical_objects, documented_methods, load_modules, root
from recipes.demo_collection.skipped import SKIPPED_TOPICS

Document = dict[str, object]

FEWEST_WORDS = {"module": 3, "class": 4, "function": 4, "method": 4}
"""A docstring with fewer words than this says little that the name does not. Built-ins all stay."""


def document(name: str, kind: str, module: str, text: str, title: str | None = None) -> Document:
    """One row of the collection."""
    return {
        "_id": name,
        "title": title or f"{name} ({kind})",
        "text": text,
        "metadata": {"module": module, "kind": kind},
    }


def describe(name: str, kind: str, module: str, thing: object, docstring: str) -> Iterator[Document]:
    """The document of an object, if its docstring is worth one."""
    if len(docstring.split()) < (1 if module == "builtins" else FEWEST_WORDS[kind]):
        return
    line = "" if kind == "module" else signature_line(name, thing, is_method=kind == "method")
    repeated = docstring.startswith(f"{name.rsplit('.', 1)[-1]}(")
    yield document(name, kind, module, docstring if repeated or not line else f"{line}\n\n{docstring}")


def library_documents() -> Iterator[Document]:
    """Modules, functions, classes and methods."""
    modules = load_modules()
    objects = canonical_objects(modules)
    names = {found.full_name for found in objects}
    for name, module in modules.items():
        if name not in names:  # unittest.main is a class first, and the module that holds it
            yield from describe(name, "module", name, module, own_docstring(module))
    for found in objects:
        if not isinstance(found.thing, type):
            yield from describe(found.full_name, "function", found.module, found.thing, own_docstring(found.thing))
    for found in objects:
        if isinstance(found.thing, type):
            yield from describe(found.full_name, "class", found.module, found.thing, class_docstring(found.thing))
    yield from method_documents(objects)


def method_documents(objects: list[Sighting]) -> Iterator[Document]:
    """The methods of all classes, without those that repeat one already told.

    ``random.Random.choice`` repeats the function ``random.choice``; ``bytearray.strip`` repeats ``bytes.strip``.
    The class nearer to ``object``, then the one with the shorter name, tells it.
    """
    functions = {
        (getattr(found.thing, "__name__", found.name), own_docstring(found.thing))
        for found in objects
        if not isinstance(found.thing, type)
    }
    classes = [(found, found.thing) for found in objects if isinstance(found.thing, type)]
    classes.sort(key=lambda pair: (len(pair[1].__mro__), len(pair[0].full_name), pair[0].full_name))
    told: set[tuple[str, str, str]] = set()
    for found, cls in classes:
        for attribute, method in documented_methods(cls, (other for _, other in classes)):
            docstring = own_docstring(method)
            said = (root(found.module), attribute, docstring)
            if said not in told and (getattr(method, "__name__", attribute), docstring) not in functions:
                told.add(said)
                yield from describe(f"{found.full_name}.{attribute}", "method", found.module, method, docstring)


def topic_documents() -> Iterator[Document]:
    """The language reference, as ``help("topic")`` shows it, titled by its heading."""
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    for name, text in topics.items():
        if name not in SKIPPED_TOPICS:
            heading, _, body = text.strip().partition("\n")
            title = heading.replace('"', "") + " (topic)"
            yield document(f"topic.{name}", "topic", "topic", body.lstrip("*\n").rstrip(), title)


def build() -> list[Document]:
    """The whole collection, sorted by id.

    Raises:
        RuntimeError: Python runs with ``-OO``, which strips docstrings.
    """
    if sys.flags.optimize >= 2:
        raise RuntimeError("Python was started with -OO, which strips docstrings; start it without.")
    return sorted([*library_documents(), *topic_documents()], key=lambda row: str(row["_id"]))


def compressed(documents: Iterable[Document]) -> bytes:
    """The documents as gzipped JSON lines: the same bytes on each run, as no name and no time are stored."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in documents)
    return gzip.compress(lines.encode(), compresslevel=9, mtime=0)


def main() -> None:
    """Build the collection into a file."""
    parser = argparse.ArgumentParser(description="Build the example collection from Python's own documentation.")
    parser.add_argument("--output", type=Path, required=True, help="the .jsonl.gz file to write")
    output: Path = parser.parse_args().output
    documents = build()
    write_bytes(output, compressed(documents))
    sys.stdout.write(f"{len(documents)} documents, {output.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()

"""A collection small enough to know by heart, its query log and judgments."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from benchmarks.parts.settings_files import Value, in_toml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.storage.records import JsonValue

TomlValue: TypeAlias = Value

TEXTS = {
    "bees": ("How bees make honey", "Bees carry nectar home. They dry it with their wings until it is honey."),
    "beeswax": ("Beeswax", "Young bees sweat flakes of wax and build combs from them."),
    "bread": ("Baking bread", "Mix flour, water, salt and yeast. Knead the dough, let it rise and bake it hot."),
    "sourdough": ("Sourdough", "A sourdough starter is flour and water in which wild yeast lives. Feed it each day."),
    "tides": ("Tides", "The moon pulls the sea. Twice a day the water rises and falls along the coast."),
    "eclipse": ("Solar eclipse", "When the moon stands before the sun, its shadow crosses the earth."),
    "glaciers": ("Glaciers", "Snow that never melts is pressed into ice, and the ice flows slowly downhill."),
    "volcano": ("Volcanoes", "Molten rock rises through the crust and comes out as lava and ash."),
    "rainbow": ("Rainbows", "Drops of rain split sunlight into its colours and send them back to the eye."),
    "thunder": ("Thunder", "Lightning heats the air so fast that it bursts outwards. That is thunder."),
    "compass": ("The compass", "A magnetic needle turns until it points north. Sailors steered by it."),
    "clock": ("Pendulum clocks", "A pendulum swings in equal times, and a toothed wheel counts the swings."),
    "paper": ("Making paper", "Wood is boiled to a pulp, spread on a sieve, pressed and dried to paper."),
    "ink": ("Iron gall ink", "Oak galls and iron salt give a black ink that bites into paper."),
    "glass": ("Glass", "Sand, soda and lime melt together and cool to glass."),
    "bridge": ("Arch bridges", "The stones of an arch press on each other, so the bridge needs no mortar."),
    "wheel": ("The wheel", "A wheel rolls where a sledge would drag. Its axle carries the load."),
    "loom": ("The loom", "Threads are stretched on a loom, and the shuttle carries the weft between them."),
    "salt": ("Salt from the sea", "Sea water stands in shallow ponds until the sun has left nothing but salt."),
    "tea": ("Tea", "Leaves of one bush make green and black tea. Black tea is left to wilt and darken."),
    "coffee": ("Coffee", "Coffee beans are seeds of a red fruit. Roasted and ground they give a bitter drink."),
    "cheese": ("Cheese", "Rennet curdles milk. The curd is pressed, salted and left to ripen as cheese."),
}

# Long enough to be several chunks of 40 tokens, each sentence a chunk's worth of its own subject.
LONG_SENTENCES = (
    "A garden begins with the soil, which is dug over in autumn so that frost can break the heavy clods apart.",
    "In spring the beds are raked fine, and the first peas and broad beans are sown while nights are still cold.",
    "Tomatoes and peppers start on a warm window sill and move outside only when no frost can be expected any more.",
    "Slugs are gathered by hand in the evening, for they hide from the sun below boards and stones all day long.",
    "In summer the gardener waters early in the morning, seldom but deeply, so that roots grow down and not sideways.",
    "Apples and pears are picked when the stalk comes off with a gentle twist, and they are kept in a cool cellar.",
    "In autumn leaves and stems go onto the compost heap, where worms and fungi turn them into dark crumbly soil.",
    "Winter is the time to mend tools, to prune the fruit trees and to plan which bed will bear what next year.",
)

# query_id, text as typed, count
LOG = (
    ("q-honey", "how do bees make honey", 9),
    ("q-yeast", "wild yeast and flour", 7),
    ("q-moon", "what does the moon do to the sea", 6),
    ("q-paper", "Black ink on paper", 5),
    ("q-sun", "sun and salt", 4),
    ("q-frost", "when is the last frost in the garden", 3),
    ("q-tea", "black tea", 2),
)

# query_id, document_id, grade
QRELS = (
    ("q-honey", "bees", 2),
    ("q-honey", "beeswax", 1),
    ("q-yeast", "sourdough", 2),
    ("q-yeast", "bread", 1),
    ("q-moon", "tides", 2),
    ("q-paper", "ink", 2),
    ("q-paper", "paper", 1),
    ("q-frost", "garden", 2),
    ("q-tea", "tea", 2),
)


# The models are random and nights change much of the collection: what is published here need not be good.
LOOSE_GATES: dict[str, TomlValue] = {
    "margin": "none",
    "min_overlap": "none",
    "max_top1_changed": "none",
    "min_kept": "none",
    "max_text_lost": "none",
    "max_judgments_lost": "none",
    "drift_days": "none",
    "max_drift": "none",
    "max_unrelated": "none",
    "max_shift": "none",
}


def _documents() -> list[dict[str, JsonValue]]:
    short: list[dict[str, JsonValue]] = [
        {"_id": document_id, "title": title, "text": text, "letters": len(title)}
        for document_id, (title, text) in TEXTS.items()
    ]
    return [*short, {"_id": "garden", "title": "The gardener's year", "text": " ".join(LONG_SENTENCES), "letters": 19}]


DOCUMENTS = _documents()


@dataclass(slots=True)
class Collection:
    """What a user has on disk; change the fields and ``write`` it again.

    Args:
        folder: Where it lies.
        settings: Sections of the settings file by name; ``""`` holds the keys before the first section.
        filters: Of queries, by their ids.
    """

    folder: Path
    settings: dict[str, dict[str, TomlValue]]
    documents: list[dict[str, JsonValue]] = field(default_factory=lambda: copy.deepcopy(DOCUMENTS))
    log: list[tuple[str, str, int]] = field(default_factory=lambda: list(LOG))
    qrels: list[tuple[str, str, int]] = field(default_factory=lambda: list(QRELS))
    filters: dict[str, JsonValue] = field(default_factory=dict)

    @property
    def settings_file(self) -> Path:
        return self.folder / "nightrank.toml"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def document(self, document_id: str) -> dict[str, JsonValue]:
        """The document of that id, to be edited."""
        return next(document for document in self.documents if document["_id"] == document_id)

    def remove(self, document_id: str) -> None:
        self.documents.remove(self.document(document_id))

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings_file.write_text(toml(self.settings), encoding="utf-8")
        self._write("corpus.jsonl", (json.dumps(document) for document in self.documents))
        rows = (
            {"query_id": key, "query": text, "count": count, "filter": self.filters.get(key)}
            for key, text, count in self.log
        )
        self._write("queries.jsonl", (json.dumps(row) for row in rows))
        judged = ("\t".join(map(str, row)) for row in self.qrels)
        self._write("qrels.tsv", ("query-id\tcorpus-id\tscore", *judged))

    def _write(self, name: str, lines: Iterator[str] | tuple[str, ...]) -> None:
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def small_collection(folder: Path, *, embedder: str | Path, reranker: str | Path) -> Collection:
    """The collection with its settings, written to ``folder``."""
    settings: dict[str, dict[str, TomlValue]] = {
        "": {"workspace": "workspace"},
        "documents": {"source": "corpus.jsonl"},
        "queries": {"log": "queries.jsonl"},
        "judgments": {"qrels": "qrels.tsv"},
        "chunking": {"max_tokens": 40},
        "embedder": {"model": str(embedder)},
        "reranker": {"model": str(reranker)},
        "evaluation": {"timed_queries": "none"},  # timing loads models, and most tests are not about it
        "gates": dict(LOOSE_GATES),
        "execution": {"device": "cpu", "threads": 1},
    }
    collection = Collection(folder, settings)
    collection.write()
    return collection


def toml(settings: dict[str, dict[str, TomlValue]]) -> str:
    """Sections of plain values as TOML."""
    lines = []
    for section, values in settings.items():
        lines += [f"[{section}]"] if section else []
        lines += [f"{key} = {in_toml(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"

"""What does not agree in a release: each fault with how often it is there and the first few that have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import duckdb

EXAMPLES = 5

# DuckDB's min(value, n) gives the n smallest, so a fault that everything has is told in bounded memory.
_COUNT_AND_EXAMPLES = f"count(*), min(example, {EXAMPLES})"


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of disagreement.

    Attributes:
        what: What is wrong, in a few words.
        count: How many have it.
        examples: The first few of them, by name.
    """

    what: str
    count: int = 1
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.examples:
            return self.what
        more = ", ..." if self.count > len(self.examples) else ""
        return f"{self.what} ({self.count:,}): {', '.join(self.examples)}{more}"


def fault_of(what: str, names: Iterable[str]) -> list[Fault]:
    """A fault that some have, or nothing where none has it.

    >>> [str(fault) for fault in fault_of("lost", ["b", "a"])], fault_of("lost", [])
    (['lost (2): a, b'], [])
    """
    ordered = sorted(names)
    return [Fault(what, len(ordered), tuple(ordered[:EXAMPLES]))] if ordered else []


def count_fault(what: str, *, expected: int, found: int) -> list[Fault]:
    """A fault where a count is not the manifest's.

    >>> [str(fault) for fault in count_fault("documents", expected=3, found=2)]
    ['documents: the manifest counts 3, there are 2']
    """
    return [] if expected == found else [Fault(f"{what}: the manifest counts {expected:,}, there are {found:,}")]


def find_faults(connection: duckdb.DuckDBPyConnection, queries: Mapping[str, str]) -> list[Fault]:
    """Run queries that look for faults.

    Args:
        connection: Where the tables are that the queries read.
        queries: By what is wrong: a query whose one column ``example`` names everything that has the fault.

    Returns:
        The faults that were found.
    """
    faults = []
    for what, query in queries.items():
        [(count, examples)] = connection.sql(query).aggregate(_COUNT_AND_EXAMPLES).fetchall()
        if count:
            faults.append(Fault(what, count, tuple(examples or ())))
    return faults

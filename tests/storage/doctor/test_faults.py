from __future__ import annotations

from nightrank.storage.doctor.faults import EXAMPLES, Fault, find_faults
from nightrank.storage.files.database import connect


def test_a_fault_is_told_with_its_count_and_its_first_few() -> None:
    assert str(Fault("lost", 2, ("a", "b"))) == "lost (2): a, b"
    assert str(Fault("lost", 1234, ("a", "b"))) == "lost (1,234): a, b, ..."
    assert str(Fault("the digest is another")) == "the digest is another"


def test_queries_that_find_nothing_are_no_faults_and_the_others_name_the_smallest() -> None:
    with connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT chr((97 + range)::INTEGER) AS letter FROM range(8)")
        faults = find_faults(
            connection,
            {
                "none": "SELECT letter AS example FROM t WHERE letter > 'z'",
                "some": "SELECT letter AS example FROM t WHERE letter > 'a' ORDER BY letter DESC",
                "nameless": "SELECT NULL::VARCHAR AS example FROM t",
            },
        )
    assert faults == [Fault("some", 7, ("b", "c", "d", "e", "f")), Fault("nameless", 8)]
    assert len(faults[0].examples) == EXAMPLES

from __future__ import annotations

import pickle

import pytest

from nightrank.storage.errors import GateRefused, InputError, MachineError, NightrankError, RowError, WorkspaceBusy


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [(NightrankError, 1), (InputError, 2), (GateRefused, 3), (MachineError, 1), (WorkspaceBusy, 1)],
)
def test_each_error_has_the_exit_code_of_the_contract(kind: type[NightrankError], exit_code: int) -> None:
    assert kind("It broke.").exit_code == exit_code


def test_a_bad_row_is_the_users_input() -> None:
    assert RowError("a.csv", 3, "no text").exit_code == 2


def test_an_error_reads_as_its_message_and_then_its_remedy() -> None:
    assert str(InputError("It is blue.", remedy="Paint it.")) == "It is blue. Paint it."
    assert str(InputError("It is blue.")) == "It is blue."
    assert str(RowError("a.csv", 3, "no text")) == "a.csv, row 3: no text."


@pytest.mark.parametrize("error", [WorkspaceBusy("Held.", remedy="Wait."), RowError("a.csv", 3, "no text")])
def test_an_error_survives_the_way_to_another_process(error: NightrankError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)

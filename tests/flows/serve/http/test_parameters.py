from __future__ import annotations

import pytest

from nightrank.flows.serve.http.faults import RequestFault
from nightrank.flows.serve.http.parameters import question_of
from nightrank.tasks.settings.serving import ServeSettings


@pytest.mark.parametrize("query", ["half \ud83d", "\udc1d of a pair"])
def test_half_a_character_as_json_may_hold_it_is_the_callers_mistake(query: str) -> None:
    with pytest.raises(RequestFault) as refused:
        question_of({"q": query}, ServeSettings())
    assert (refused.value.status, refused.value.told.where) == (400, "q")
    assert question_of({"q": "a \U0001f41d"}, ServeSettings()).query == "a \U0001f41d"

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.progress import progress

if TYPE_CHECKING:
    import pytest


def test_nothing_is_shown_where_a_log_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("embedding", 2) as advance:
        advance(1)
        advance(1)
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_shown_on_standard_error_where_a_person_looks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with progress("embedding", 2) as advance:
        advance(2)
    written = capsys.readouterr()
    assert written.out == ""
    assert "embedding" in written.err
    assert "2/2" in written.err


def test_nothing_to_do_shows_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress("embedding", 0) as advance:
        advance(0)
    assert capsys.readouterr() == ("", "")

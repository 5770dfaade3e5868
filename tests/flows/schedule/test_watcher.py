"""The watcher over real folders, real file system events and a clock of tenths of seconds; refreshes are noted."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from nightrank.flows.schedule.hints import file_system_of, means_of
from nightrank.flows.schedule.source import WatchedSource
from nightrank.flows.schedule.watcher import Ended, Watcher
from nightrank.tasks.settings.operation import ScheduleSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

QUICK = ScheduleSettings(on_change=True, quiet_seconds=0.2, max_wait_seconds=2.0, poll_seconds=0.1)
EVENTS_ALONE = QUICK.model_copy(update={"poll_seconds": 1000.0})


class Refreshes:
    """Notes when a refresh begins, and ends as it is told to."""

    def __init__(self, *ends: Ended | Exception, seconds: float = 0.0) -> None:
        self.began: list[float] = []
        self.at_work = self.most = 0
        self._ends, self.seconds = [*ends], seconds

    async def refresh(self) -> Ended:
        self.began.append(time.monotonic())
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        await asyncio.sleep(self.seconds)
        self.at_work -= 1
        end = self._ends.pop(0) if self._ends else Ended.TAKEN_IN
        if isinstance(end, Exception):
            raise end
        return end


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.md").write_text("Bees.")
    settings = tmp_path / "nightrank.toml"
    settings.write_text('workspace = "pages/workspace"\n[documents]\nsource = "pages"\n')
    return settings


@asynccontextmanager
async def watching(
    project: Path, refreshes: Refreshes, settings: ScheduleSettings = QUICK, told: list[str] | None = None
) -> AsyncIterator[Path]:
    """The documents' folder, watched; what changed before was taken in."""
    tell = [] if told is None else told
    watcher = Watcher(WatchedSource(project), refreshes, settings, tell=tell.append)
    task = asyncio.create_task(watcher.run())
    try:
        await until(lambda: len(refreshes.began) == 1 and refreshes.at_work == 0)
        yield project.parent / "pages"
    finally:
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("settings", [pytest.param(QUICK, marks=pytest.mark.slow), EVENTS_ALONE])
def test_a_change_is_taken_in_when_it_has_been_quiet(project: Path, settings: ScheduleSettings) -> None:
    async def day() -> None:
        refreshes = Refreshes()
        async with watching(project, refreshes, settings) as pages:
            (pages / "b.md").write_text("Wax.")
            await until(lambda: len(refreshes.began) == 2)
            written = time.monotonic()
            (pages / "new").mkdir()
            (pages / "new" / "c.md").write_text("Honey.")
            await until(lambda: len(refreshes.began) == 3)
            assert refreshes.began[2] - written >= settings.quiet_seconds - 0.1
            await asyncio.sleep(0.5)
            assert len(refreshes.began) == 3

    asyncio.run(day())


def test_what_is_brought_back_the_workspace_and_drafts_cost_no_refresh(project: Path) -> None:
    async def day() -> None:
        refreshes = Refreshes()
        async with watching(project, refreshes, QUICK.model_copy(update={"quiet_seconds": 0.6})) as pages:
            (pages / "a.md").rename(project.parent / "a.md")
            await asyncio.sleep(0.15)
            (project.parent / "a.md").rename(pages / "a.md")
            for number in range(5):
                (pages / "workspace" / "releases").mkdir(parents=True, exist_ok=True)
                (pages / "workspace" / "releases" / f"{number}.md").write_text("A report.")
                (pages / ".draft.md").write_text(f"{number}")
                await asyncio.sleep(0.02)
            await asyncio.sleep(1.0)
            assert len(refreshes.began) == 1

    asyncio.run(day())


@pytest.mark.slow
def test_edits_that_never_stop_are_taken_in_all_the_same_and_one_refresh_at_a_time(project: Path) -> None:
    async def day() -> None:
        refreshes = Refreshes(seconds=0.5)
        settings = QUICK.model_copy(update={"quiet_seconds": 1.0})
        async with watching(project, refreshes, settings) as pages:
            first = time.monotonic()
            while time.monotonic() < first + 6.0:
                (pages / "a.md").write_text(f"{time.monotonic()}")
                await asyncio.sleep(0.1)
            assert 2 <= len(refreshes.began) - 1 <= 4  # every 2 s, at the latest, and not each time
            await until(lambda: refreshes.at_work == 0)
            assert refreshes.most == 1

    asyncio.run(day())


def test_what_keeps_changes_from_being_seen_and_taken_in_is_told_once_each_and_then_watching_goes_on(
    project: Path,
) -> None:
    right = project.read_text()
    project.write_text("[")
    told: list[str] = []
    refreshes = Refreshes()
    settings = QUICK.model_copy(update={"poll_seconds": 0.5})  # longer than it must be quiet, so that both tell in turn
    watcher = Watcher(WatchedSource(project), refreshes, settings, tell=told.append)

    async def day() -> None:
        task = asyncio.create_task(watcher.run())
        await asyncio.sleep(2.0)
        assert refreshes.began == []
        project.write_text(right)
        await until(lambda: len(refreshes.began) == 1)
        (project.parent / "pages" / "b.md").write_text("Wax.")
        await until(lambda: len(refreshes.began) == 2)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(day())
    assert [line.partition(":")[0] for line in told] == ["Changes cannot be seen", "No refresh after changes"]


@pytest.mark.slow
def test_what_took_nothing_in_is_tried_again_and_told_once(project: Path) -> None:
    async def day() -> None:
        told: list[str] = []
        ends = (Ended.TAKEN_IN, OSError("no route"), Ended.BUSY, Ended.FAILED)
        refreshes = Refreshes(*ends)
        async with watching(project, refreshes, told=told) as pages:
            (pages / "a.md").write_text("Bees make honey.")
            await until(lambda: len(refreshes.began) == 5)
            await asyncio.sleep(1.0)
            assert len(refreshes.began) == 5
        assert [text.split(":")[0] for text in told] == [
            "No refresh after changes",
            "A refresh after changes took nothing in",
            "A refresh after changes took nothing in",
        ]

    asyncio.run(day())


def test_what_changes_while_nobody_watches_and_what_was_begun_then_are_looked_at(project: Path) -> None:
    async def day() -> None:
        refreshes = Refreshes()
        watcher = Watcher(WatchedSource(project), refreshes, EVENTS_ALONE, tell=lambda _text: None)

        async def watched(until_began: int, *, ends: bool = True) -> None:
            task = asyncio.create_task(watcher.run())
            await until(lambda: len(refreshes.began) == until_began and (refreshes.at_work == 0 or not ends))
            await asyncio.sleep(0.3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        await watched(1)
        (project.parent / "pages" / "b.md").write_text("Wax.")  # the server was away, and with it the watch
        refreshes.seconds = 60.0
        await watched(2, ends=False)  # it went while a refresh was at work
        refreshes.seconds = 0.0
        refreshes.at_work = 0
        await watched(3)
        await watched(3)  # nothing has changed

    asyncio.run(day())


def test_another_source_in_the_settings_is_watched_instead(project: Path) -> None:
    async def day() -> None:
        refreshes = Refreshes()
        async with watching(project, refreshes, EVENTS_ALONE) as pages:
            others = project.parent / "others"
            others.mkdir()
            (others / "a.md").write_text("Of others.")
            text = project.read_text()
            project.write_text(text.replace('source = "pages"', 'source = "others"'))
            (pages / "b.md").write_text("Wax.")  # by which it is looked at
            await until(lambda: len(refreshes.began) == 2)
            await asyncio.sleep(1.0)
            (others / "b.md").write_text("More of others.")
            await until(lambda: len(refreshes.began) == 3)

    asyncio.run(day())


@pytest.mark.slow
def test_a_source_that_is_away_begins_no_refresh_and_one_that_is_back_is_watched_on(project: Path) -> None:
    async def day() -> None:
        told: list[str] = []
        refreshes = Refreshes()
        async with watching(project, refreshes, EVENTS_ALONE, told) as pages:
            (pages).rename(project.parent / "elsewhere")
            await until(lambda: bool(told))
            assert "does not exist" in told[0]
            assert len(refreshes.began) == 1
            (project.parent / "elsewhere").rename(pages)
            await asyncio.sleep(1.5)  # until it is watched again
            (pages / "b.md").write_text("Wax.")
            await until(lambda: len(refreshes.began) == 2)

    asyncio.run(day())


def test_where_no_watch_is_left_the_documents_are_listed_and_that_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "OS file watch limit reached")

    monkeypatch.setattr("watchfiles.awatch", none_left)

    async def day() -> None:
        told: list[str] = []
        refreshes = Refreshes()
        async with watching(project, refreshes, told=told) as pages:
            (pages / "b.md").write_text("Wax.")
            await until(lambda: len(refreshes.began) == 2)
        assert len(told) == 1
        assert "listed every 0.1 s" in told[0]
        assert "OS file watch limit reached" in told[0]

    asyncio.run(day())


MOUNTED = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:45 / /srv/share rw - nfs4 server:/share rw
41 40 8:2 / /srv/share/local rw - xfs /dev/sdb1 rw
42 22 0:50 / /mnt/with\\040blank rw - fuse.sshfs me@there:/ rw
"""


def test_network_drives_are_listed_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTED)
    kinds = {
        folder: file_system_of(Path(folder), mounts)
        for folder in ("/srv/share/docs", "/srv/share/local/x", "/srv/shared", "/mnt/with blank/docs")
    }
    assert list(kinds.values()) == ["nfs4", "xfs", "ext4", "fuse.sshfs"]
    assert file_system_of(tmp_path, tmp_path / "none") == ""
    assert str(means_of([tmp_path], mounts=mounts)) == "file system events"
    mounts.write_text(MOUNTED.replace("/srv/share ", f"{tmp_path.resolve()} "))
    means = means_of([tmp_path], mounts=mounts)
    assert str(means) == "listing it (no event tells of others' changes on nfs4)"
    assert str(means_of([])) == "listing it (it is no folder here)"

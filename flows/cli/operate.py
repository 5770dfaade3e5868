"""Operate: what keeps a workspace in order, and serves its releases from elsewhere."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (cyclopts reads annotations)
from typing import Annotated

from cyclopts import Parameter

from nightrank.flows.cli.options import (
    Config,
    Json,
    Release,
    at_once,
    flag,
    print_json,
    quiet_prefect,
    settings_of,
    several,
    show,
)
from nightrank.storage.errors import InputError


def rollback(
    release_id: Annotated[str | None, Parameter(help="Release id. Default: the last one before the current.")] = None,
    /,
    *,
    config: Config = None,
    json_: Json = False,
) -> int:
    """Make another release current, at once."""
    from datetime import UTC, datetime

    from nightrank.storage.release.rollback import roll_back
    from nightrank.tasks.takedown.retract import publish_without_retracted

    _, configuration = settings_of(config)
    done = roll_back(configuration.workspace, release_id, now=datetime.now(UTC), publish=publish_without_retracted)
    if json_:
        print_json({"current": done.current, "before": done.before})
    else:
        from nightrank.flows.operate.terminal import show_rollback

        show_rollback(done, exports=bool(configuration.settings.export.to))
    return 0


def retract(
    document_ids: Annotated[
        tuple[str, ...],
        Parameter(help="Ids of documents. Without any, answers are written anew.", show_default=False),
    ] = (),
    /,
    *,
    config: Config = None,
    from_: Annotated[Path | None, Parameter(name="--from", help="File of ids, one a line, beside those given.")] = None,
    reason: Annotated[str | None, Parameter(help="Why; kept in the list.")] = None,
    undo: Annotated[bool, flag("Bring them back.")] = False,
    erase: Annotated[
        bool, flag("Erase them as well: texts, vectors, scores, older releases; and search what is left for them.")
    ] = False,
    list_: Annotated[bool, flag("List what is taken down, and change nothing.", name="--list")] = False,
    json_: Json = False,
) -> int:
    """Take documents out of every answer, at once and for good, whatever the source still holds."""
    from datetime import UTC, datetime

    from nightrank.flows.operate.retract import ids_in, listed, take_down
    from nightrank.flows.operate.retract_terminal import show_listed, show_taken_down

    _, configuration = settings_of(config)
    if configuration.settings.export.to:
        quiet_prefect()
    documents = [*document_ids, *(() if from_ is None else ids_in(from_))]
    if list_:
        if documents or undo or erase:
            raise InputError("--list changes nothing.", remedy="Leave ids, --from, --undo and --erase out.")
        show(listed(configuration), show_listed, json_=json_)
        return 0
    if undo and not documents:
        raise InputError(
            "--undo needs the ids of documents.", remedy="`nightrank retract --list` says which there are."
        )
    if undo and erase:
        raise InputError("--undo brings back and --erase removes.", remedy="Give one of them.")
    now = datetime.now(UTC)
    done = take_down(configuration, documents, reason=reason or "", undo=undo, erasing=erase, now=now)
    show(done, show_taken_down, json_=json_)
    return 1 if done.failed else 0


def doctor(*, config: Config = None, release: Release = None, json_: Json = False) -> int:
    """Prove that the stores of a release agree; nothing is changed."""
    from nightrank.flows.operate.doctor import examine
    from nightrank.flows.operate.terminal import show_diagnosis

    _, configuration = settings_of(config)
    diagnosis = examine(configuration.workspace, release_id=release)
    show(diagnosis, show_diagnosis, json_=json_)
    return 0 if diagnosis.healthy else 1


def prune(
    *,
    config: Config = None,
    keep: Annotated[
        int | None, Parameter(help="Accepted releases to keep. Default: [retention].keep of the settings.")
    ] = None,
    dry_run: Annotated[bool, flag("Say what would be removed, and remove nothing.")] = False,
    json_: Json = False,
) -> int:
    """Remove old releases, and whatever only they needed."""
    from datetime import UTC, datetime

    from nightrank.flows.operate.prune import prune_workspace

    _, configuration = settings_of(config)
    pruned = prune_workspace(configuration, keep=keep, dry_run=dry_run, now=datetime.now(UTC))
    if json_:
        print_json({"dry_run": dry_run, **pruned.as_json()})
    else:
        from nightrank.flows.operate.terminal import show_pruned

        show_pruned(pruned, dry_run=dry_run)
    return 0


def export(
    *,
    config: Config = None,
    to: Annotated[
        tuple[str, ...],
        several(
            "A file (.sqlite, .parquet) or a server (redis://, valkey://, unix://, postgresql://); "
            "'${NAME}' in place of its password is read from the environment. Default: [export].to of the settings."
        ),
    ] = (),
    release: Release = None,
    name: Annotated[
        str | None,
        Parameter(help="Prefix of the keys on a server, or name of the view. Default: [export].name of the settings."),
    ] = None,
    json_: Json = False,
) -> int:
    """Write a release to a file or a server, then switch readers there to it."""
    settings_file, _ = settings_of(config)
    quiet_prefect()
    from pydantic import SecretStr

    from nightrank.flows.operate.export import export as export_flow
    from nightrank.flows.operate.terminal import show_exports

    done = at_once(export_flow)(
        settings_file=str(settings_file),
        to=[SecretStr(address) for address in to] or None,
        release_id=release,
        name=name,
    )
    show(done, show_exports, json_=json_)
    return 0

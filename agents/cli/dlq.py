"""`visutility dlq`: look at records that were set aside, and send them in again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from agents.cli import completing
from agents.cli.failures import BadInput, CommandFailed
from agents.cli.options import Actor, AsJson, Bootstrap, Config, Note, actor_of, brokers_of, settings_of
from agents.cli.output import print_json, print_line, print_table
from agents.nearest import did_you_mean
from agents.orders import retried
from agents.registry.actions import ActionRefused, By
from agents.settings import STAGES, Settings
from schemas.dead_letter import DeadLetter

if TYPE_CHECKING:
    from agents.dashboard.actions import Action

app = typer.Typer(help="Records that could not be decoded or processed.", no_args_is_help=True)

Stage = Annotated[
    str | None,
    typer.Option("--stage", help="Only what this stage set aside.", metavar="NAME", autocompletion=completing.stages),
]
Reason = Annotated[str | None, typer.Option("--reason", help="Only where the reason holds this.", metavar="TEXT")]


@app.command("list")
def list_letters(
    stage: Stage = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option("--limit", help="Only the newest so many.", min=1)] = 100,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show dead letters, oldest first: where each came from and why it was set aside.

    Example: visutility dlq list --reason accuracy --bootstrap localhost:9092
    """
    settings = settings_of(config, bootstrap)
    letters = _chosen(_read(settings), stage, reason)[-limit:]
    if as_json:
        print_json({"dead_letters": [letter.to_dict() for letter in letters]})
    elif letters:
        rows = [
            (each.event_id, each.stage, f"{each.topic}/{each.partition}@{each.offset}", each.reason) for each in letters
        ]
        print_table(("id", "stage", "record", "reason"), rows)
    else:
        print_line("no dead letters")


@app.command()
def retry(
    ids: Annotated[list[str] | None, typer.Argument(help="Their ids, as dlq list shows them.", metavar="ID…")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that the other options leave.")] = False,
    stage: Stage = None,
    reason: Reason = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Publish nothing; say what would be.")] = False,
    note: Note = "",
    actor: Actor = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Publish records again, unchanged, to the topics they came from, after what stopped them has been mended.

    A letter stays on its topic: retried twice, its record is published twice. Of a record that was too large to be
    kept whole only the beginning is there; it cannot be retried.

    Examples: visutility dlq retry 6f1c…-9b2e

    visutility dlq retry --all --reason "monitor failed"
    """
    if bool(ids) == everything:
        raise BadInput("which ones? give the ids that dlq list shows, or --all")
    settings = settings_of(config, bootstrap)
    letters = _chosen(_read(settings), stage, reason, ids)
    whole = [letter for letter in letters if retried(letter) is not None]
    if whole and not dry_run:
        from agents.cli import acting, kafka

        by = By(actor_of(actor), datetime.now(UTC), note)
        kafka.run(acting.publish(settings, [_action(settings, letter, by) for letter in whole]), settings)
    skipped = [letter.event_id for letter in letters if letter not in whole]
    _report([letter.event_id for letter in whole], skipped, dry_run, as_json)


def _action(settings: Settings, letter: DeadLetter, by: By) -> Action:
    from agents.cli import acting

    try:
        return acting.valid(lambda make: make.retry(letter, by, acting.who(by.actor)), settings)
    except ActionRefused as problem:
        raise BadInput(f"{letter.event_id}: {problem}") from None


def _report(retried: Sequence[str], skipped: Sequence[str], dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({"retried": list(retried), "not_kept_whole": list(skipped), "dry_run": dry_run})
    else:
        print_line(f"{'would retry' if dry_run else 'retried'} {len(retried)}, {len(skipped)} not kept whole")
    if skipped and not retried:
        raise CommandFailed(f"nothing could be retried: {len(skipped)} records were not kept whole")


def _read(settings: Settings) -> list[DeadLetter]:
    brokers_of(settings)
    from agents.cli import kafka

    async def letters() -> list[DeadLetter]:
        found = [_letter(record.value) async for record in kafka.read_all(settings, "dead-letter")]
        return sorted((letter for letter in found if letter is not None), key=lambda letter: letter.timestamp)

    return kafka.run(letters(), settings)


def _letter(value: bytes | None) -> DeadLetter | None:
    """The dead letter in a record; None for what others may have put on the topic."""
    try:
        return None if value is None else DeadLetter.model_validate_json(value)
    except ValidationError:
        return None


def _chosen(
    letters: Sequence[DeadLetter], stage: str | None, reason: str | None, ids: Sequence[str] | None = None
) -> list[DeadLetter]:
    if unknown := sorted(set(ids or ()) - {letter.event_id for letter in letters}):
        raise BadInput(f"no dead letter {unknown[0]}; dlq list shows those that are there")
    known = {*STAGES, *(letter.stage for letter in letters)}
    if stage is not None and stage not in known and (near := did_you_mean(stage, known)):
        raise BadInput(f"--stage: no stage {stage!r}{near}")
    return [
        letter
        for letter in letters
        if (not ids or letter.event_id in ids)
        and (stage is None or letter.stage == stage)
        and (reason is None or reason.lower() in letter.reason.lower())
    ]

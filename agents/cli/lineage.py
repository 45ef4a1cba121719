"""`visutility lineage`: where a model version comes from, and what it led to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.failures import BadInput
from agents.cli.models import view_of
from agents.cli.options import AsJson, Bootstrap, Config, Model, brokers_of, settings_of
from agents.cli.output import print_json
from agents.registry.lineage import TOPICS, Document, Lineage
from agents.registry.view import NotFound
from agents.settings import Settings

if TYPE_CHECKING:
    from rich.tree import Tree

GONE = "no longer on its topic"

SHOWN_TRIALS = 5


def lineage(
    model: Model,
    version: Annotated[str, typer.Argument(help="The version.", metavar="VERSION")],
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show the study, the request, the drift and the records of the fleet behind a version, and what came after it.

    Example: visutility lineage digits 4 --bootstrap localhost:9092
    """
    settings = settings_of(config, bootstrap)
    brokers_of(settings)
    from agents.cli import kafka

    try:
        document = kafka.run(_read(settings, model), settings).of(model, version)
    except NotFound as problem:
        raise BadInput(str(problem)) from None
    if as_json:
        print_json(document)
        return
    from rich.console import Console

    Console().print(tree_of(document))


async def _read(settings: Settings, model: str) -> Lineage:
    from agents.cli import kafka

    view = await view_of(settings)
    found = [
        message
        for topic in TOPICS
        async for _, message in kafka.messages(settings, topic)
        if message is not None and message.model_name == model
    ]
    return Lineage(view, found)


def tree_of(document: Document) -> Tree:
    """The lineage as a tree for people."""
    made = document["registered"]
    root = _tree(f"{document['model_name']} version {document['version']}, registered {made['timestamp']}")
    for alias in document["aliases"]:
        root.add(_text(f"{alias['alias']} since {alias['timestamp']}: {alias['reason']}"))
    if made["promotion"] is not None:
        root.add(_text(made["promotion"]["reason"]))
    root.add(_text(f"artifact {made['artifact']} (sha256 {made['sha256'][:12]}…)"))
    if made["actor"]:
        root.add(_text(f"registered by {made['actor']}"))
    if document["origin"] is not None:
        _add_origin(root, document["origin"])
    if document["ancestors"]:
        root.add(_text("made from version " + " ◀ ".join(document["ancestors"])))
    _add_later(root, document["later"])
    return root


def _add_origin(root: Tree, origin: Document) -> None:
    study = origin["study"]
    branch = root.add(_text(f"study {study['study_id']}" if study else f"study: {GONE}"))
    if study and study["finished"]:
        branch.add(_text(study["finished"]["reason"]))
    for trial in _best(study)[:SHOWN_TRIALS] if study else ():
        params = ", ".join(f"{name}={_short(value)}" for name, value in trial["params"].items())
        score = trial["state"] if trial["score"] is None else f"{trial['score']:.4g}"
        branch.add(_text(f"trial {trial['number']}: {score} ({params})"))
    if study and (more := len(study["trials"]) - SHOWN_TRIALS) > 0:
        branch.add(_text(f"and {more} more trials"))
    _add_request(branch, origin)


def _add_request(branch: Tree, origin: Document) -> None:
    request = origin["request"]
    if request is None:
        branch.add(_text(f"request {origin['request_id']}: {GONE}"))
        return
    node = branch.add(_text(f"request of {request['timestamp']}: {request['reason']}"))
    if request["actor"]:
        node.add(_text(f"asked for by {request['actor']}"))
    for cause in origin["causes"]:
        _add_cause(node, cause)


def _add_cause(node: Tree, cause: Document) -> None:
    finding, record = cause["finding"], cause["input"]
    if finding is None:
        node.add(_text(f"{cause['event_id']}: {GONE}"))
        return
    window = finding.get("window")
    shown = f"; window of {window['count']}: mean {window['mean']:.4g}, std {window['std']:.3g}" if window else ""
    measured = f"{finding['metric']} {finding['value']:.4g}" if "metric" in finding else f"p = {finding['p_value']:.3g}"
    found = node.add(_text(f"{finding['type']} at {finding['timestamp']}: {measured}{shown}"))
    if record is not None:
        found.add(_text(f"record {record['event_id']} at {record['topic']}/{record['partition']}@{record['offset']}"))


def _add_later(root: Tree, later: Document) -> None:
    if not any(later.values()):
        return
    branch = root.add(_text("afterwards"))
    if later["findings"]:
        last = later["findings"][-1]["finding"]
        branch.add(_text(f"{len(later['findings'])} findings about it, the last {last['type']} at {last['timestamp']}"))
    for request in later["requests"]:
        led = f"version {request['version']}" if request["version"] else "no version (yet)"
        branch.add(_text(f"request of {request['timestamp']}: {request['reason']} ▶ {led}"))
    if later["versions"]:
        branch.add(_text("made from it: version " + ", ".join(later["versions"])))


def _best(study: Document) -> list[Document]:
    """Its trials: the one that won, then those by number."""
    best = study["finished"]["best_trial_id"] if study["finished"] else None
    return sorted(study["trials"], key=lambda trial: (trial["trial_id"] != best, trial["number"]))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _tree(text: str) -> Tree:
    from rich.tree import Tree

    return Tree(_text(text))


def _text(text: str) -> Any:
    from rich.text import Text

    return Text(text)

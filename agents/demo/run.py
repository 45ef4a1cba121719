"""`visutility demo`: the whole loop on a real model and real images, in under a minute."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from importlib.util import find_spec
from multiprocessing.context import SpawnProcess
from pathlib import Path

import typer

from agents.demo.dashboard import running_dashboard
from agents.demo.digits import FOLDER_VARIABLE
from agents.demo.document import document
from agents.demo.fleets import running_fleets
from agents.demo.history import History
from agents.demo.mistake import ask_by_mistake, mistaken_request
from agents.demo.observer import Observer
from agents.demo.plan import DEGRADED, Plan
from agents.demo.rules import demo_settings
from agents.demo.story import Story, summary
from agents.demo.view import View, make_view
from agents.settings import Settings, SettingsError, load_settings
from agents.settings.security import SecuritySettings
from agents.worker import Worker, engine_settings
from streams.brokers.broker import Broker, BrokerError
from streams.brokers.choose import choose_broker
from streams.logs import configure_logging
from streams.security import SecurityError
from streams.topics import create_topics, wanted_topics

#: A good run takes half a minute on two cores, and minutes where both have other work, for trials have low
#: priority; one that takes this long will not come to an end.
DEADLINE_SECONDS = 240.0

DONE, FAILED, WRONG_USAGE = 0, 1, 2

SERVERS_VARIABLE = "VISUTILITY_BOOTSTRAP_SERVERS"

CLOSED = """
The loop closed: drift was noticed, the model was retuned, its accuracy came back; a worse version was refused."""


class DemoFailed(RuntimeError):
    """The run cannot go on. The text is one line."""


def run_demo(broker: str = "auto", seed: int = 0, json_output: bool = False) -> int:
    """Run the loop until the degraded fleet has recovered; the exit code is 0 if everything happened as it should.

    `broker` is "auto" (`VISUTILITY_BOOTSTRAP_SERVERS` if set, else embedded), "embedded" or HOST:PORT. `seed`, from 0,
    chooses images and hyperparameters. With `json_output` standard output gets one JSON document and nothing else.
    Reasons for a failure (exit code 1) or wrong usage (2) go to standard error, one line each.
    """
    if find_spec("sklearn") is None:
        return _refuse("scikit-learn is not installed: pip install 'visutility-streams[demo]'", FAILED)
    if seed < 0:
        return _refuse(f"--seed: expected a whole number from 0, got {seed}", WRONG_USAGE)
    try:
        chosen = choose_broker(broker, os.environ.get(SERVERS_VARIABLE))
    except BrokerError as problem:
        return _refuse(f"--broker: {problem}", WRONG_USAGE)
    try:
        return _run(chosen, security_for(chosen), seed, json_output)
    except KeyboardInterrupt:
        return _refuse("stopped before the end", FAILED)
    except (SettingsError, SecurityError) as problem:
        return _refuse(problem, WRONG_USAGE)
    except (BrokerError, DemoFailed) as problem:
        return _refuse(problem, FAILED)
    except Exception as problem:  # noqa: BLE001 - whatever failed, people get its reason, not a traceback
        return _refuse(f"{type(problem).__name__}: {problem}", FAILED)


def _refuse(reason: object, code: int) -> int:
    typer.echo(f"demo: {' '.join(str(reason).split())}", err=True)
    return code


def security_for(broker: Broker) -> SecuritySettings:
    """How to speak to a broker: to a user's own as file and environment say, to one of the demo's in plain text."""
    return load_settings() if broker.kind == "external" else Settings()


def _run(broker: Broker, security: SecuritySettings, seed: int, json_output: bool) -> int:
    began = time.monotonic()
    with broker, _folder() as folder, make_view(json_output) as view:
        configure_logging("human", "warning")
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it complains of what it then tries again
        prefix = f"visutility-demo-{secrets.token_hex(4)}."
        plan = Plan(broker.bootstrap_servers, prefix, folder, seed, security=security.security)
        history = History(plan.degrade_at)
        name = "embedded" if broker.kind == "embedded" else plan.bootstrap_servers
        exactly_once = broker.transactions and broker.read_committed
        limits = "" if exactly_once else " (in memory only, delivers at least once)"
        view.tell(f"broker: {name}{limits}, topics: {prefix}*")
        logging.getLogger("agents.worker").setLevel(logging.ERROR)  # its warning about delivery is said above
        settings = demo_settings(plan, exactly_once=exactly_once, **security.security_given)
        with nullcontext() if json_output else running_dashboard(settings, view.tell):
            asyncio.run(_close_the_loop(plan, settings, history, view))
    elapsed, faults = time.monotonic() - began, history.faults(plan.trials)
    if json_output:
        typer.echo(json.dumps(document(history, name, elapsed)))
    else:
        typer.echo("\n".join(summary(history, name, elapsed)))
        if not faults:
            typer.echo(CLOSED)
    for fault in faults:
        _refuse(fault, FAILED)
    return FAILED if faults else DONE


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for the run's state, artifacts and images; the trials' processes find it by the environment."""
    with tempfile.TemporaryDirectory(prefix="visutility-demo-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ[FOLDER_VARIABLE]


async def _close_the_loop(plan: Plan, settings: Settings, history: History, view: View) -> None:
    """Run fleets and worker until the history is complete or the time is up, and stop both."""
    wanted = wanted_topics(engine_settings(settings), settings.topic_stages, settings.topic_states)
    await create_topics(plan.connection, wanted)
    worker = Worker(settings)
    with running_fleets(plan) as fleets:
        working = asyncio.create_task(_work(worker))
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), Observer(plan) as observer:
                await _watch(observer, plan, Story(history, plan.trials), view, working, fleets)
        except TimeoutError:
            view.tell(f"not recovered within {DEADLINE_SECONDS:.0f} s")
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await working
            await worker.stop()


async def _work(worker: Worker) -> None:
    await worker.start()
    await worker.wait()


async def _watch(
    observer: Observer, plan: Plan, story: Story, view: View, working: asyncio.Task[None], fleets: SpawnProcess
) -> None:
    """Show what comes until the history is complete; make the mistake once a new version serves.

    Raises what stopped the worker, `DemoFailed` if the fleets end.
    """
    began, history, mistaken = time.monotonic(), story.history, False
    async for news in observer.news():
        for topic, message in news:
            history.add(topic, message)
            if line := story.line(message):
                view.tell(f"{time.monotonic() - began:5.1f} s  {line}")
        view.refresh(history)
        if history.complete:
            return
        if history.recovered_batches and not mistaken:
            mistaken = True
            version = history.readings[DEGRADED][-1].version
            await ask_by_mistake(plan, mistaken_request(version, datetime.now(UTC)))
        if working.done():
            working.result()
        if fleets.exitcode is not None:
            raise DemoFailed(f"the fleets' process ended with exit code {fleets.exitcode}")

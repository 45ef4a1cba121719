"""Finds out what the checks need: from the broker, the disk and the installation. Changes nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from agents.doctor.checks import MODULES
from agents.doctor.facts import Facts, Folder, Input, Sample
from agents.inputs.events import STAGE
from agents.rights import rights_of
from agents.settings import STAGES, Settings
from agents.settings.inputs import InputTopic
from agents.worker import engine_settings
from schemas.dead_letter import DeadLetter
from schemas.inference_logs import predictions_in
from schemas.message import InvalidMessage
from schemas.parse import Parser
from schemas.topics import TOPICS
from streams.checks import NoTransactions, check_transactions
from streams.diagnosis import told
from streams.grants import Grant
from streams.permissions import NotPermitted, missing_grants
from streams.security import SecurityError
from streams.settings import EngineSettings
from streams.topic_log import TopicMissing, group_lag, newest
from streams.topics import TopicsUnfit, check_topics, wanted_topics

#: Offsets of each partition that are looked at: of `metrics` and `dead-letter`, of `status`, and of topics of others,
#: whose records may be large.
NEWEST, NEWEST_STATUS, NEWEST_INPUTS = 200, 5_000, 20

#: Dead letters of so long ago are told.
LATELY = timedelta(hours=1)

#: Seconds between the two looks at the lag.
PAUSE = 3.0

#: What each stage reads beside its internal topic.
INPUTS = {"monitor": ("metrics",), "retrain": ("drift",), "tuner": ("retrain",)}


async def gather(settings: Settings, now: datetime, pause: float = PAUSE) -> Facts:
    """Everything that can be found out. What Kafka does not tell is left as if nothing were wrong with it."""
    facts = Facts(
        settings,
        now,
        folder=_folder(settings.data_dir),
        absent=frozenset(module for module in MODULES if find_spec(module) is None),
        unset=frozenset(
            rule.url_variable for rule in settings.notify if rule.url_variable and not os.environ.get(rule.url_variable)
        ),
    )
    if settings.bootstrap_servers is None:
        return replace(facts, unreachable="no broker is set")
    engine = engine_settings(settings)
    try:
        wanted = wanted_topics(engine, settings.topic_stages, settings.topic_states)
        topics = tuple(await check_topics(engine.connection, wanted))
    except (TopicsUnfit, SecurityError) as problem:
        return replace(facts, unreachable=str(problem))
    denied = await _denied(settings, engine)
    transactions = await _transactions(settings, engine)
    of_others = settings.inputs if "monitor" in settings.agents else []
    inputs = tuple([await _input(engine, each) for each in of_others])
    read = [each.topic for each in inputs if not each.problem]
    before = await _lags(engine, read)
    samples, letters, models = await _samples(engine), await _letters(engine, now), await _models(engine)
    await asyncio.sleep(pause)
    after = await _lags(engine, read)
    return replace(
        facts,
        topics=topics,
        denied=tuple(denied),
        transactions=transactions,
        samples=tuple(samples),
        letters=tuple(letters),
        models=frozenset(models | {each.model for each in samples if each.model}),
        inputs=inputs,
        lags={stage: (before[stage], lag) for stage, lag in after.items() if stage in before},
    )


def _folder(folder: Path) -> Folder:
    """The folder itself may not be there yet: then what counts is the nearest one above it."""
    there = next((each for each in (folder, *folder.absolute().parents) if each.exists()), Path("/"))
    if not there.is_dir():
        return Folder(f"{there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        return Folder("cannot be written to")
    usage = shutil.disk_usage(there)
    return Folder("", usage.free, usage.total)


async def _denied(settings: Settings, engine: EngineSettings) -> list[Grant]:
    """Only where clients say who they are."""
    if engine.security.protocol == "PLAINTEXT":
        return []
    try:
        return await missing_grants(engine.connection, rights_of("worker", settings))
    except NotPermitted:
        return []


async def _transactions(settings: Settings, engine: EngineSettings) -> str:
    if engine.delivery != "exactly_once" or not (stages := [each for each in STAGES if each in settings.agents]):
        return ""
    try:
        await check_transactions(engine, stages[0])
    except NoTransactions as problem:
        return str(problem).partition(":")[0]
    return ""


async def _input(engine: EngineSettings, given: InputTopic) -> Input:
    """What a topic of others is, by its newest records."""
    seen = Input(given.topic, given.layout)
    try:
        records = [each async for each in newest(engine.connection, given.topic, NEWEST_INPUTS)]
    except TopicMissing as problem:
        return replace(seen, problem=str(problem), missing=True)
    except (KafkaError, TimeoutError) as problem:
        return replace(seen, problem=told(problem, engine.connection).partition(": grant it")[0])
    wrong, predictions = [], 0
    for record in records:
        try:
            predictions += len(predictions_in(given.layout, record.value, record.headers, record.timestamp))
        except InvalidMessage as reason:
            wrong.append(str(reason))
    return replace(seen, read=len(records), wrong=tuple(wrong), predictions=predictions)


async def _lags(engine: EngineSettings, of_others: Sequence[str]) -> dict[str, int]:
    groups = {stage: [engine.topic(name) for name in names] for stage, names in INPUTS.items()}
    if of_others:
        groups[STAGE] = list(of_others)
    found = {}
    for stage, topics in groups.items():
        try:
            lag = await group_lag(engine.connection, engine.group(stage), topics)
        except (TopicMissing, KafkaError, TimeoutError):
            continue
        if lag is not None:
            found[stage] = lag
    return found


async def _samples(engine: EngineSettings) -> list[Sample]:
    parse = TOPICS["metrics"].parser()
    return [_sample(record, parse) for record in await _newest(engine, "metrics", NEWEST)]


def _sample(record: ConsumerRecord, parse: Parser) -> Sample:
    written = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    try:
        message = parse(record.value, record.headers)
    except InvalidMessage:
        return Sample(record.partition, record.key is not None, written)
    return Sample(record.partition, record.key is not None, written, message.model_name, message.timestamp)


async def _letters(engine: EngineSettings, now: datetime) -> list[str]:
    """Reasons; by the record's own time, for a letter has that of the record it is about."""
    reasons = []
    for record in await _newest(engine, "dead-letter", NEWEST):
        if record.value is not None and record.timestamp / 1000 > (now - LATELY).timestamp():
            try:
                reasons.append(DeadLetter.model_validate_json(record.value).reason)
            except ValueError:
                continue
    return reasons


async def _models(engine: EngineSettings) -> set[str]:
    records = await _newest(engine, "status", NEWEST_STATUS)
    return {record.key.decode(errors="replace") for record in records if record.key and record.value is not None}


async def _newest(engine: EngineSettings, topic: str, count: int) -> list[ConsumerRecord]:
    try:
        return [each async for each in newest(engine.connection, engine.topic(topic), count)]
    except (TopicMissing, KafkaError, TimeoutError):
        return []

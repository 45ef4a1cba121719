"""The decoders of messages, and whole stages behind them: each record becomes a message or a dead letter."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from agents.monitor.stage import MonitorInput, MonitorStage
from agents.retrain.budget import RetrainCandidate
from agents.retrain.stage import RetrainInput, RetrainStage
from agents.settings import Settings
from agents.tuner.stage import TunerInput, TunerStage
from schemas.columns.decoder import ColumnDecoder
from schemas.compact import CompactMessage, compact_parser
from schemas.dead_letter import DeadLetter
from schemas.fields import EPOCH
from schemas.internal import Cut
from schemas.kernel import COMPILED
from schemas.message import InvalidMessage, Message
from schemas.metrics import Metrics, MetricsMessage
from schemas.parse import classes_in, parser_for
from schemas.topics import TOPICS, TopicSpec, internal_topic
from streams.cuts import CUT_HEADER, is_cut, runs_of
from streams.origin import ORIGIN_HEADERS
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import Forward, Output, Record, StoredRecord
from streams.stage import Stage
from tests.fuzz.mutation import LITERALS, Mutator
from tests.fuzz.seeds import USUAL, malformed, messages
from tests.fuzz.target import Target, refused_with

Headers = tuple[tuple[str, bytes | None], ...]

_HEADERS = ("ce_specversion", "ce_id", "ce_type", "ce_time", "ce_subject", "ce_source", "content-type", "x")
_NUMBERS = (
    b"0",
    b"1",
    b"7",
    b"-1",
    b"9223372036854775807",
    b"9223372036854775808",
    b"1_0",
    b" 1",
    b"",
    b"\xff",
    b"1e3",
)
_PARSE_DEAD_LETTER = TOPICS["dead-letter"].parser()

#: Records after which a stage begins anew, so that what is kept of models with random names does not add up.
_LIFE = 2_000

SETTINGS = Settings.model_validate(
    {
        "monitor": [
            {"metric": "accuracy", "window": {"size": 4, "min_samples": 2}, "segment_by": "region"},
            {"metric": "recall", "window": {"duration": "10m", "grace": "1m"}},
            {"metric": "error", "detector": {"name": "recommended"}},
            {"metric": "outcomes.accuracy", "window": {"size": 4, "min_samples": 2}},
            {"metric": "predictions.score", "detector": {"name": "ks"}},
            {"metric": "score", "detector": {"name": "page_hinkley"}},
            {"metric": "extras.*", "detector": {"name": "cusum"}},
        ],
        "retrain": [{"min": {"accuracy": 0.8}, "min_average_precision_recall": 0.7}],
        "tune": [
            {"objective": "examples.dummy:objective", "space": {"x": {"type": "float_range", "min": 0, "max": 1}}}
        ],
    }
)


def message_targets(draw: random.Random) -> Iterator[Target]:
    """The parser of each topic, both decoders of `metrics`, and each stage from records to outputs."""
    for spec in (*TOPICS.values(), internal_topic("monitor")):
        yield _parser_target(draw, spec)
    yield _decoders_target(draw)
    yield _cut_target(draw)
    for stage, union, share in (
        (MonitorStage(SETTINGS), MonitorInput, 8),
        (RetrainStage(SETTINGS), RetrainInput, 2),
        (TunerStage(SETTINGS), TunerInput, 2),
    ):
        kinds = [kind for kind in classes_in(union) if kind is not RetrainCandidate]
        yield _stage_target(draw, stage, [*messages(kinds, 6), *(USUAL if share > 2 else ())], share)


def headers(draw: random.Random, mutator: Mutator, names: Sequence[str] = _HEADERS) -> Headers:
    """None, mostly; else some that mean something, with values that mean something or nothing."""
    if draw.random() < 0.8:
        return ()
    return tuple((draw.choice(names), _header_value(draw, mutator)) for _ in range(draw.randint(1, 7)))


def _header_value(draw: random.Random, mutator: Mutator) -> bytes | None:
    kind = draw.random()
    if kind < 0.05:
        return None
    if kind < 0.4:
        return draw.choice((b"1.0", b"visutility.metrics", b"metrics", b"2024-01-01T00:00:00Z", b"m", *_NUMBERS))
    return mutator.literal().strip(b'"')


def _parser_target(draw: random.Random, spec: TopicSpec) -> Target:
    parse = spec.parser()
    seeds = [*messages(spec.classes), *(malformed() if spec.name == "metrics" else ())]
    mutator = Mutator(draw, [*seeds, *(USUAL if spec.name == "metrics" else ())])

    def check(given: tuple[bytes | None, Headers]) -> bool:
        try:
            message = parse(*given)
        except InvalidMessage as refused:
            _check_reason(refused)
            return False
        again = parse(message.to_json())
        assert again == message, "a message that was written is read as another"
        return True

    def one() -> tuple[bytes | None, Headers]:
        return mutator.json() if draw.random() > 0.001 else None, headers(draw, mutator)

    return Target(f"topic {spec.name}", one, check, 20 if spec.name == "metrics" else 3)


def _check_reason(refused: InvalidMessage) -> None:
    reason = str(refused)
    assert reason.splitlines() == [reason], "a reason of several lines"
    assert len(reason) < 700, f"a reason of {len(reason)} characters"


def _decoders_target(draw: random.Random) -> Target:
    """The quick decoder and the schema's; and, where there is numba, columns against each message alone."""
    parse = parser_for(MetricsMessage)
    mutator = Mutator(draw, [*USUAL, *USUAL, *messages(classes_in(MetricsMessage), 2)])
    parsers: list[Callable[..., Message | CompactMessage]] = []
    columns = ColumnDecoder(compact_parser(parse)) if COMPILED else None

    def outcome(parser: Callable[..., Message | CompactMessage], value: bytes) -> Message | str:
        try:
            found = parser(value)
        except InvalidMessage as refused:
            return str(refused)
        return found.full() if isinstance(found, CompactMessage) else found

    def check(values: list[bytes]) -> bool:
        if not parsers or draw.random() < 0.001:
            parsers[:] = [compact_parser(parse)]
        found = [outcome(parsers[0], value) for value in values]
        assert found == [outcome(parse, value) for value in values], "the decoders disagree"
        if columns is not None:
            _check_columns(columns, values, found)
        return not isinstance(found[0], str)

    def several() -> list[bytes]:
        usual = draw.random() < 0.3
        count = 1 if draw.random() < 0.6 else draw.randint(2, 4)
        return [draw.choice(USUAL) if usual and place else mutator.json() for place in range(count)]

    return Target("decoders of metrics", several, check, 25)


def _check_columns(decoder: ColumnDecoder, values: Sequence[bytes], found: Sequence[Message | str]) -> None:
    columns, left = decoder.decode(values)
    places = [place for each in columns for place in each.places.tolist()]
    assert sorted([*places, *left]) == list(range(len(values))), "columns have lost a message, or have it twice"
    for each in columns:
        for at, place in enumerate(each.places.tolist()):
            message = found[place]
            assert isinstance(message, Metrics), "columns have what the decoders refuse"
            assert not message.labels, "columns have lost labels"
            assert (each.kind.model_name, each.kind.model_version) == (message.model_name, message.model_version)
            assert EPOCH + timedelta(microseconds=int(each.times[at])) == message.timestamp, "another time"
            numbers = zip(each.kind.metrics, each.values[:, at].tolist(), strict=True)
            assert list(numbers) == list(message.values().items()), "other numbers"


def _cut_target(draw: random.Random) -> Target:
    mutator = Mutator(draw, messages([Cut]))

    def check(value: bytes) -> bool:
        record = StoredRecord("visutility.monitor-internal", 0, 0, 0, None, value, (CUT_HEADER,))
        assert is_cut(record)
        return not refused_with(InvalidMessage, lambda: runs_of(record))

    return Target("cuts", mutator.json, check, 2)


class _Worked:
    """One partition of a stage, made anew after some records; the other of two partitions is forwarded to."""

    def __init__(self, stage: Stage[Any]) -> None:
        self._stage = stage
        self._left = 0
        self._processor: Processor[Any]

    def work(self, records: Sequence[Record], elapsed_ms: int) -> list[Output | Forward]:
        if self._left <= 0:
            self._processor = Processor(self._stage, 0, 2, MemoryTable())
            self._left = _LIFE
        self._left -= len(records)
        outputs = self._processor.process(records)
        return outputs + self._processor.tick(elapsed_ms, datetime(2025, 1, 1, tzinfo=UTC))


def _stage_target(draw: random.Random, stage: Stage[Any], seeds: list[bytes], share: int) -> Target:
    mutator, worked = Mutator(draw, seeds), _Worked(stage)
    inner = f"visutility.{stage.name}-internal"
    failed = f"{stage.name} failed on this record: "

    def record() -> StoredRecord:
        forwarded = draw.random() < 0.3
        topic = inner if forwarded else f"visutility.{stage.topics[0]}"
        found = headers(draw, mutator, (*_HEADERS, *ORIGIN_HEADERS) if forwarded else _HEADERS)
        if forwarded and draw.random() < 0.5:
            place = (draw.choice(LITERALS).strip(b'"'), draw.choice(_NUMBERS), draw.choice(_NUMBERS))
            found = (*found, *zip(ORIGIN_HEADERS, place, strict=True))
        key = draw.choice((None, b"", b"m", b"\xff", b"k" * 300))
        value = mutator.json() if draw.random() > 0.002 else None
        when = draw.choice((0, -1, 1_700_000_000_000, 2**62, -(2**62)))
        return StoredRecord(topic, 0, draw.choice((0, 1, 2**62)), when, key, value, found)  # type: ignore[arg-type]

    def check(records: list[StoredRecord]) -> bool:
        outputs = worked.work(records, draw.choice((0, 1, 1_000, 10**9)))
        letters = [each.message for each in outputs if isinstance(each, Output) and each.topic == "dead-letter"]
        for letter in letters:
            assert isinstance(letter, DeadLetter)
            assert _PARSE_DEAD_LETTER(letter.to_json()) == letter, "a dead letter that is no message"
            # The tuner refuses in its step what is not for it, which is known to be a message.
            assert stage.name == "tuner" or not letter.reason.startswith(failed), letter.reason
        assert len(letters) <= len(records), "more dead letters than records"
        return len(letters) < len(records)

    def some() -> list[StoredRecord]:
        return [record() for _ in range(draw.choice((1, 1, 2, 5)))]

    return Target(f"stage {stage.name}", some, check, share)

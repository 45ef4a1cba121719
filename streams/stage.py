"""What a stage is to the engine: a name, its input topics and a pure step on the state of one key.

    step(state, inputs) -> (state, outputs)

Live worker, replay and backtest run the same steps. A step may change the state object it is given (the engine decodes
it anew from bytes), but reads no clock, no randomness and no I/O: everything it knows is in `state` and `inputs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from schemas.columns.columns import ColumnGroups, Integers, MetricColumns
from schemas.message import Message
from streams.origin import Origin
from streams.parts import Parts
from streams.records import Headers, Output

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Event:
    """One decoded message. `clock` is the partition's tick clock, in milliseconds, when the event was processed."""

    message: Message
    origin: Origin
    clock: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went by while nothing was left to read: the partition's tick clock now, in milliseconds."""

    clock: int


Input = Event | Tick


class Compact(Protocol):
    """A message in a form that costs less to make; `full` is the message."""

    @property
    def model_name(self) -> str: ...

    def full(self) -> Message: ...


class Stepped(NamedTuple):
    """The places of groups that were stepped, the state of each group's key after it, and what the keys' parts became.

    Of a part the place of its key's group, its name and its value.
    """

    places: list[int]
    states: list[bytes]
    parts: list[tuple[int, bytes, bytes]]


#: Reads states of keys, asked for by the places of their groups.
ReadStates = Callable[[Sequence[int]], Sequence[bytes | None]]

#: Reads parts of keys, asked for by such a place and the part's name.
ReadParts = Callable[[Sequence[tuple[int, bytes]]], Sequence[bytes | None]]


class EncodedSteps(Protocol):
    """Steps of many keys at once over their states as they are written, for keys of which each has little to say."""

    def step(
        self,
        groups: ColumnGroups,
        places: Integers,
        clocks: Integers,
        read: ReadStates,
        read_parts: ReadParts,
    ) -> Iterator[Stepped]:
        """Step some of the groups at these places, each of another key, some at a time.

        `clocks`: of each of them the tick clock at its last record. What is given must be what `step` and
        `encode_state` give, where there are no outputs, no part is deleted, and no deadline is earlier than before. All
        others get a step of their own.
        """
        ...


class Stage(Protocol[S]):
    """The contract between the engine and the logic of one stage."""

    @property
    def name(self) -> str:
        """Names the consumer group, the transactional ids, the table and the internal topic."""
        ...

    @property
    def topics(self) -> tuple[str, ...]:
        """Input topics without prefix; the stage's own internal topic is read too and not named here."""
        ...

    def decode(self, value: bytes | None, headers: Headers) -> Message | Compact | None:
        """The message in a record, or None if the stage has no use for it.

        Raises `schemas.message.InvalidMessage` with the reason for the dead letter.
        """
        ...

    def decode_columns(self, values: Sequence[bytes | None]) -> tuple[Sequence[MetricColumns], list[int]] | None:
        """What `decode` gives for records without headers, where it can be had in columns, and the places of others.

        None: decode each by itself.
        """
        ...

    @property
    def encoded_steps(self) -> EncodedSteps | None:
        """Steps without decoding states, where the stage has any (by now)."""
        ...

    def new_state(self, key: str, parts: Parts) -> S:
        """The state of a key nothing is known of. `parts`: what it may keep beside what is encoded."""
        ...

    def step(self, state: S, inputs: Sequence[Input]) -> tuple[S, list[Output]]: ...

    def encode_state(self, state: S) -> bytes | None:
        """Compact, versioned bytes; None deletes the key, with its parts."""
        ...

    def decode_state(self, key: str, data: bytes, parts: Parts) -> S:
        """The state again. Raises `ValueError`, and of a state that a later version wrote `LaterFormat`."""
        ...

    def deadline(self, state: S) -> int | None:
        """The tick-clock time, in milliseconds, at which this key wants a `Tick`; None if it waits for none."""
        ...

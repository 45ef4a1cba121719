"""From a record's bytes to a message, or to one line that says why not.

The bytes go straight into pydantic's JSON parser, which bounds nesting at 200 levels. Whatever is wrong with them, the
only exception is `InvalidMessage`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from schemas.cloudevents import attributes_in, filled_json, unwrapped
from schemas.message import InvalidMessage, Message
from schemas.reasons import Reasons, path_text

MAX_SIZE = 10 * 1024 * 1024
MAX_DIGITS = 4_300  # before the point; the JSON parser's limit

Parser = Callable[..., Message]
"""`parse(value, headers=())`: bytes or None (a tombstone) and the record's headers in, a `Message` out."""


def parser_for(union: Any) -> Parser:
    """The parser of a topic's messages: `union` is one message class or a union of them (`MetricsMessage`).

    The parser raises `InvalidMessage`, and nothing else, for every value that is not one of these messages.
    """
    return _Parser(classes_in(union))


def classes_in(union: Any) -> list[type[Message]]:
    """The message classes of a union, in its order; of one class, itself."""
    arguments = get_args(union)
    if not arguments:
        return [union]
    members = arguments[:1] if get_origin(union) is Annotated else arguments
    return [found for member in members for found in classes_in(member)]


def type_of(message: type[Message]) -> str:
    """The `type` that a message class has on the wire."""
    return str(message.model_fields["type"].default)


class _Parser:
    def __init__(self, classes: Sequence[type[Message]]) -> None:
        self._tagged = len(classes) > 1
        message: Any = classes[0]
        if self._tagged:
            message = Annotated[Union[tuple(classes)], Field(discriminator="type")]  # noqa: UP007 (made at run time)
        adapter: TypeAdapter[Any] = TypeAdapter(message)
        self._validate = adapter.validator.validate_json
        self._reasons = Reasons(adapter, [type_of(each) for each in classes])

    def __call__(self, value: bytes | None, headers: Sequence[tuple[str, bytes | None]] = ()) -> Message:
        body = value if value and len(value) <= MAX_SIZE else _refused(value)
        if b'"specversion"' in body:
            body = _without_envelope(body)
        attributes = attributes_in(headers) if headers else {}
        if not attributes:
            return self._message(body)
        try:
            message = self._message(body)
        except InvalidMessage:
            return self._message(filled_json(body, attributes))
        if message.event_id is None and "id" in attributes:
            return self._message(filled_json(body, attributes))
        return message

    def _message(self, body: bytes) -> Message:
        try:
            message: Message = self._validate(body)
        except ValidationError as error:
            raise InvalidMessage(self._reason(error, body)) from None
        if not self._tagged and "type" not in message.model_fields_set:
            raise InvalidMessage(self._reasons.of_type({}))
        # These literals are no JSON. Where a field has one, pydantic says so; in an ignored field it lets it pass.
        if b"NaN" in body or b"Infinity" in body:
            _refuse_literals(body)
        return message

    def _reason(self, error: ValidationError, body: bytes) -> str:
        first = error.errors(include_url=False, include_input=False)[0]
        return _json_reason(first["ctx"]["error"], body) if first["type"] == "json_invalid" else self._reasons.of(error)


def _refused(value: bytes | None) -> NoReturn:
    if value is None:
        raise InvalidMessage("value: expected a JSON object, got a tombstone (no value)")
    if not value:
        raise InvalidMessage("value: expected a JSON object, got an empty value")
    raise InvalidMessage(f"value: expected at most {MAX_SIZE} bytes, got {len(value)}")


def _without_envelope(body: bytes) -> bytes:
    try:
        document = from_json(body)
    except ValueError:
        return body  # The validator will say what is wrong with it.
    message = unwrapped(document) if isinstance(document, dict) else None
    return body if message is None else to_json(message, inf_nan_mode="constants")


def _json_reason(problem: str, body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return f"value: expected UTF-8, got byte 0x{body[error.start]:02x} at position {error.start}"
    if problem.startswith("recursion limit"):
        return "value: expected JSON of at most 200 levels, got deeper nesting"
    if problem.startswith("number out of range"):
        return f"{_field_of_long_number(text)}: expected a number of at most {MAX_DIGITS} digits, got a longer one"
    return f"value: expected a JSON object, got invalid JSON ({problem})"


class _Found:
    """Stands for a number that is not one, so as to be found again in a document."""


def _refuse_literals(body: bytes) -> None:
    seen: list[str] = []

    def note(literal: str) -> _Found:
        seen.append(literal)
        return _Found()

    # Integers are left unread: Python's own parser refuses some that are within the other's limits.
    document = json.loads(body.decode(), parse_constant=note, parse_int=len)
    if seen:  # Else the letters are inside a string.
        raise InvalidMessage(f"{path_text(_place(document))}: expected a finite number, got {seen[0]}")


def _field_of_long_number(text: str) -> str:
    def mark(number: str) -> _Found | int:
        digits = re.match("-?([0-9]*)", number)
        return _Found() if digits is not None and len(digits[1]) > MAX_DIGITS else 0

    try:
        document = json.loads(text, parse_int=mark, parse_float=mark)
    except (ValueError, RecursionError):  # Something else is wrong too, further on.
        return "value"
    return path_text(_place(document))


def _place(document: Any) -> list[str | int]:
    """The path to the first `_Found`; empty where there is none (a repeated key hid it)."""
    waiting: list[tuple[list[str | int], Any]] = [([], document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, _Found):
            return path
        steps = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
        waiting.extend(([*path, step], below) for step, below in reversed(list(steps)))
    return []

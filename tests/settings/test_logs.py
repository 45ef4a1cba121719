"""Logging: for people on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from streams.logs import CHATTY, configure_logging


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in CHATTY}
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_where_there_is_no_terminal_each_record_is_one_json_object_a_line() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    logging.getLogger("agents.monitor").info("two\nlines of %s", "text", extra={"model_name": "m", "path": object})
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "agents.monitor",
        "message": "two\nlines of text",
        "model_name": "m",
        "path": "<class 'object'>",
    }


def test_an_exception_is_in_its_line_as_text() -> None:
    stream = io.StringIO()
    configure_logging("json", stream=stream)
    try:
        raise KeyError("gone")
    except KeyError:
        logging.getLogger("a").exception("failed")
    (line,) = lines(stream)
    assert line["exception"].endswith("KeyError: 'gone'")


def test_on_a_terminal_records_are_for_people() -> None:
    stream = Terminal()
    configure_logging(stream=stream)
    logging.getLogger("a").warning("low disk", extra={"free_mb": 12})
    assert "low disk" in stream.getvalue()
    assert "free_mb" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_human_format_without_a_terminal_is_plain_text() -> None:
    stream = io.StringIO()
    configure_logging("human", stream=stream)
    logging.getLogger("a.b").warning("low disk", extra={"free_mb": 12})
    assert stream.getvalue().endswith("WARNING a.b: low disk free_mb=12\n")


def test_libraries_are_quiet_below_warning_unless_all_is_wanted() -> None:
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    logging.getLogger("aiokafka.consumer").info("joined")
    logging.getLogger("aiokafka.consumer").warning("left")
    assert [line["message"] for line in lines(stream)] == ["left"]
    configure_logging("json", "debug", stream)
    logging.getLogger("aiokafka.consumer").debug("joined again")
    assert [line["message"] for line in lines(stream)] == ["left", "joined again"]


def test_configuring_again_replaces_what_was_there() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging("json", stream=first)
    configure_logging("json", stream=second)
    logging.getLogger("a").info("once")
    assert (first.getvalue(), len(lines(second))) == ("", 1)

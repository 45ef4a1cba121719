"""Logging: for people on a terminal, one JSON object a line elsewhere. Always on stderr; stdout is for results."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal, TextIO

from rich.console import Console
from rich.logging import RichHandler

from streams.troubles import BrokerTroubles, watch

LogFormat = Literal["auto", "human", "json"]

#: Libraries that narrate at info what only their developers want to read.
CHATTY = ("aiokafka", "faust", "mode", "kafka", "asyncio", "testcontainers", "urllib3")

#: Our subclasses of Faust's services, which tell of starting and stopping under their module's name.
CHATTY_SERVICES = ("streams.app", "streams.transport", "streams.recovery", "streams.store")

#: What every record has; whatever else it carries was passed as `extra` and belongs in the output.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One record as one line of JSON: time (RFC 3339, UTC), level, logger, message, then the record's extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line. Extra fields that JSON does not know are written as text; the usual four cannot be overwritten."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _USUAL:
                line.setdefault(name, value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class PlainFormatter(logging.Formatter):
    """One record as one line of text, its extra fields as name=value at the end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        return super().formatMessage(record) + _extra_text(record)


class _TerminalFormatter(logging.Formatter):
    """Rich adds time, level and colour itself."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record) + _extra_text(record)


def _extra_text(record: logging.LogRecord) -> str:
    return "".join(f" {name}={value}" for name, value in vars(record).items() if name not in _USUAL)


def configure_logging(log_format: LogFormat = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Send all logging to `stream` (stderr), replacing what was configured before.

    "auto" is "human" where the stream is a terminal, else "json". `level` is debug, info, warning or error; the
    libraries below stay at warning unless it is debug, and of what aiokafka says while a broker is away little is left.
    """
    target = stream or sys.stderr
    terminal = target.isatty()
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    handler = _handler(("human" if terminal else "json") if log_format == "auto" else log_format, target, terminal)
    if level != "debug":
        handler.addFilter(BrokerTroubles(on_away=watch))
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in (*CHATTY, *CHATTY_SERVICES):
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
    logging.captureWarnings(True)


def _handler(log_format: str, stream: TextIO, terminal: bool) -> logging.Handler:
    if log_format == "human" and terminal:
        handler: logging.Handler = RichHandler(console=Console(file=stream), show_path=False, log_time_format="%X")
        handler.setFormatter(_TerminalFormatter())
        return handler
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if log_format == "json" else PlainFormatter())
    return handler

"""Values that are no message of `metrics`, of every kind, each with the reason it must be given."""

from __future__ import annotations

from typing import NamedTuple

HEAD = b'"model_name": "m", "timestamp": 1700000000'
MAX_SIZE = 10 * 1024 * 1024


class Malformed(NamedTuple):
    """A record's value, and the field, the expectation and the finding that its rejection names."""

    name: str
    value: bytes | None
    field: str
    expected: str
    got: str


def _of(kind: str, rest: str = "") -> bytes:
    return b'{"type": "%s", %s%s}' % (kind.encode(), HEAD, f", {rest}".encode() if rest else b"")


def _metrics(rest: str) -> bytes:
    return _of("metrics", rest)


def _outcomes(rest: str) -> bytes:
    return _of("outcomes", rest)


def _named(name: str) -> bytes:
    return b'{"type": "heartbeat", "timestamp": 1700000000, "model_name": %s}' % name.encode()


def _timed(timestamp: str) -> bytes:
    return b'{"type": "heartbeat", "model_name": "m", "timestamp": %s}' % timestamp.encode()


_bad = Malformed
TYPES = "one of 'metrics', 'validation_score', 'outcomes', 'prediction', 'label', 'external_drift'"
RATIO = "a number in [0, 1]"
FINITE = "a finite number"
OBJECT = "a JSON object"
NAME = "a string of 1 to 249 characters without control characters"
TIME = "an RFC 3339 time with offset or epoch seconds, from 2000-01-01 to 2100-01-01"
SCALAR = "a finite number, a 64-bit integer, a boolean or a string of at most 1000 characters"

MALFORMED: list[Malformed] = [
    # Not JSON at all.
    _bad("tombstone", None, "value", OBJECT, "a tombstone"),
    _bad("empty", b"", "value", OBJECT, "an empty value"),
    _bad("blanks", b"  \n", "value", OBJECT, "invalid JSON"),
    _bad("not UTF-8", b"\xff\xfe\x00", "value", "UTF-8", "byte 0xff at position 0"),
    _bad("UTF-16", '{"type": "heartbeat"}'.encode("utf-16-le"), "value", OBJECT, "invalid JSON"),
    _bad("not UTF-8 in a string", b'{"type": "heartbeat\xe9"}', "value", "UTF-8", "byte 0xe9 at position 19"),
    _bad(
        "not UTF-8 in an ignored field",
        _of("heartbeat", '"x": "?"').replace(b"?", b"\xc3"),
        "value",
        "UTF-8",
        "byte 0xc3",
    ),
    _bad("byte order mark", b"\xef\xbb\xbf" + _of("heartbeat"), "value", OBJECT, "invalid JSON"),
    _bad("truncated in a key", b'{"typ', "value", OBJECT, "invalid JSON"),
    _bad("truncated before the end", _of("heartbeat")[:-1], "value", OBJECT, "invalid JSON (EOF"),
    _bad("two documents", _of("heartbeat") * 2, "value", OBJECT, "invalid JSON (trailing"),
    _bad("single quotes", b"{'type': 'heartbeat'}", "value", OBJECT, "invalid JSON"),
    _bad("trailing comma", b'{"type": "heartbeat",}', "value", OBJECT, "invalid JSON"),
    _bad("lone surrogate", _named(r'"\ud800"'), "value", OBJECT, "invalid JSON"),
    _bad("control character in a string", _named('"a\nb"'), "value", OBJECT, "invalid JSON"),
    _bad("nested lists", b"[" * 100_000, "value", "JSON of at most 200 levels", "deeper nesting"),
    _bad("nested objects", b'{"a":' * 100_000, "value", "JSON of at most 200 levels", "deeper nesting"),
    _bad("nested and closed", b"[" * 100_000 + b"]" * 100_000, "value", "JSON of at most 200 levels", "deeper"),
    _bad(
        "nested in an ignored field",
        _of("heartbeat", '"x": ' + "[" * 300 + "]" * 300),
        "value",
        "JSON of at most 200",
        "deeper",
    ),
    _bad("too large", b" " * (MAX_SIZE + 1), "value", f"at most {MAX_SIZE} bytes", str(MAX_SIZE + 1)),
    # JSON, but no object.
    _bad("null", b"null", "value", OBJECT, "null"),
    _bad("list", b"[1, 2]", "value", OBJECT, "a list of 2 items"),
    _bad("string", b'"metrics"', "value", OBJECT, "'metrics'"),
    _bad("number", b"17", "value", OBJECT, "17"),
    _bad("boolean", b"true", "value", OBJECT, "true"),
    _bad("bare NaN", b"NaN", "value", OBJECT, "NaN"),
    # The type.
    _bad("no type", b"{}", "type", TYPES, "nothing"),
    _bad("null type", b'{"type": null}', "type", TYPES, "null"),
    _bad("unknown type", b'{"type": "metric"}', "type", TYPES, "'metric'"),
    _bad("type of another topic", _of("drift_detected"), "type", TYPES, "'drift_detected'"),
    _bad("type in capitals", _of("Metrics"), "type", TYPES, "'Metrics'"),
    _bad("number as type", b'{"type": 1}', "type", TYPES, "1"),
    _bad("list as type", b'{"type": ["metrics"]}', "type", TYPES, "a list of 1 items"),
    # The common fields.
    _bad("no model name", b'{"type": "heartbeat", "timestamp": 1700000000}', "model_name", NAME, "nothing"),
    _bad("empty model name", _named('""'), "model_name", NAME, "''"),
    _bad("long model name", _named(f'"{"m" * 250}"'), "model_name", NAME, "(250 characters)"),
    _bad("NUL in the model name", _named(r'"a\u0000b"'), "model_name", NAME, r"'a\x00b'"),
    _bad("line feed in the model name", _named(r'"a\n"'), "model_name", NAME, r"'a\n'"),
    _bad("number as model name", _named("7"), "model_name", NAME, "7"),
    _bad("null model name", _named("null"), "model_name", NAME, "null"),
    _bad("list as model name", _named('["m"]'), "model_name", NAME, "a list of 1 items"),
    _bad("number as version", _of("heartbeat", '"model_version": 3'), "model_version", "a string of at most 128", "3"),
    _bad(
        "long version",
        _of("heartbeat", f'"model_version": "{"1" * 129}"'),
        "model_version",
        "a string of at most 128",
        "(129 characters)",
    ),
    _bad("number as event id", _of("heartbeat", '"event_id": 5'), "event_id", "a string of 1 to 256", "5"),
    _bad("empty event id", _of("heartbeat", '"event_id": ""'), "event_id", "a string of 1 to 256", "''"),
    _bad("no timestamp", b'{"type": "heartbeat", "model_name": "m"}', "timestamp", TIME, "nothing"),
    _bad("null timestamp", _timed("null"), "timestamp", TIME, "null"),
    _bad("boolean timestamp", _timed("true"), "timestamp", TIME, "true"),
    _bad("milliseconds", _timed("1700000000000"), "timestamp", TIME, "1700000000000"),
    _bad("before 2000", _timed("946684799"), "timestamp", TIME, "946684799"),
    _bad("from 2100 on", _timed('"2100-01-01T00:00:00Z"'), "timestamp", TIME, "2100-01-01"),
    _bad("negative timestamp", _timed("-1"), "timestamp", TIME, "-1"),
    _bad("NaN timestamp", _timed("NaN"), "timestamp", TIME, "NaN"),
    _bad("huge timestamp", _timed("1e300"), "timestamp", TIME, "1e+300"),
    _bad("timestamp of 400 digits", _timed("9" * 400), "timestamp", TIME, "an integer beyond 64 bits"),
    _bad("date without time", _timed('"2024-01-01"'), "timestamp", TIME, "'2024-01-01'"),
    _bad("time without offset", _timed('"2024-01-01T00:00:00"'), "timestamp", TIME, "'2024-01-01T00:00:00'"),
    _bad("number in a string as timestamp", _timed('"1700000000"'), "timestamp", TIME, "'1700000000'"),
    _bad("month 13", _timed('"2024-13-01T00:00:00Z"'), "timestamp", TIME, "'2024-13-01T00:00:00Z'"),
    _bad(
        "labels as list", _of("heartbeat", '"labels": []'), "labels", "an object of at most 32 entries", "a list of 0"
    ),
    _bad("number as label", _of("heartbeat", '"labels": {"eu": 1}'), "labels.eu", "a string of at most 256", "1"),
    _bad(
        "empty label key", _of("heartbeat", '"labels": {"": "x"}'), "labels", "keys that are a string of 1 to 64", "''"
    ),
    _bad(
        "33 labels",
        _of("heartbeat", '"labels": {' + ", ".join(f'"{n}": ""' for n in range(33)) + "}"),
        "labels",
        "an object of at most 32 entries",
        "33",
    ),
    # Metrics.
    _bad("no value", _metrics('"x": 1'), "accuracy", "at least one of accuracy, precision, recall, f1_score", "none"),
    _bad("only nulls", _metrics('"accuracy": null, "extras": {}'), "accuracy", "at least one of", "none"),
    _bad("ratio above 1", _metrics('"accuracy": 1.7'), "accuracy", RATIO, "1.7"),
    _bad("ratio below 0", _metrics('"recall": -0.1'), "recall", RATIO, "-0.1"),
    _bad("percentage", _metrics('"precision": 93'), "precision", RATIO, "93"),
    _bad("number in a string", _metrics('"f1_score": "0.9"'), "f1_score", RATIO, "'0.9'"),
    _bad("boolean ratio", _metrics('"accuracy": true'), "accuracy", RATIO, "true"),
    _bad("list as ratio", _metrics('"accuracy": [0.9]'), "accuracy", RATIO, "a list of 1 items"),
    _bad("object as ratio", _metrics('"accuracy": {"value": 0.9}'), "accuracy", RATIO, "an object"),
    _bad("NaN ratio", _metrics('"accuracy": NaN'), "accuracy", RATIO, "NaN"),
    _bad("infinite ratio", _metrics('"accuracy": Infinity'), "accuracy", RATIO, "Infinity"),
    _bad("ratio of 1e400", _metrics('"accuracy": 1e400'), "accuracy", RATIO, "Infinity"),
    _bad("ratio of 400 digits", _metrics(f'"accuracy": {"9" * 400}'), "accuracy", RATIO, "an integer beyond 64 bits"),
    _bad(
        "ratio of 5000 digits",
        _metrics(f'"accuracy": {"9" * 5000}'),
        "accuracy",
        "a number of at most 4300 digits",
        "a longer one",
    ),
    _bad(
        "negative of 5000 digits",
        _metrics(f'"extras": {{"a": [-{"9" * 5000}]}}'),
        "extras.a[0]",
        "a number of at most 4300 digits",
        "a longer one",
    ),
    _bad("two bad ratios", _metrics('"accuracy": 2, "recall": 3'), "accuracy", RATIO, "2 (and 1 more)"),
    _bad("infinite extra", _metrics('"extras": {"auc": -Infinity}'), "extras.auc", FINITE, "-Infinity"),
    _bad("null extra", _metrics('"extras": {"auc": null}'), "extras.auc", FINITE, "null"),
    _bad("string extra", _metrics('"extras": {"a b": "x"}'), "extras.'a b'", FINITE, "'x'"),
    _bad("extras as number", _metrics('"extras": 3'), "extras", "an object of at most 1000 entries", "3"),
    _bad("nested extras", _metrics('"extras": {"auc": {"macro": 1}}'), "extras.auc", FINITE, "an object"),
    _bad(
        "too many extras",
        _metrics('"extras": {' + ", ".join(f'"{n}": 1' for n in range(1001)) + "}"),
        "extras",
        "an object of at most 1000 entries",
        "1001",
    ),
    # The other kinds.
    _bad("no score", _of("validation_score"), "score", FINITE, "nothing"),
    _bad("infinite score", _of("validation_score", '"score": 1e999'), "score", FINITE, "Infinity"),
    _bad(
        "score of 400 digits",
        _of("validation_score", f'"score": -{"9" * 400}'),
        "score",
        FINITE,
        "an integer beyond 64 bits",
    ),
    _bad("p-value above 1", _of("external_drift", '"p_value": 1.01'), "p_value", RATIO, "1.01"),
    _bad("null p-value", _of("external_drift", '"p_value": null'), "p_value", RATIO, "null"),
    _bad("no error", _of("inference_failure"), "error", "a string of at most 10000 characters", "nothing"),
    _bad(
        "long error",
        _of("inference_failure", f'"error": "{"e" * 10_001}"'),
        "error",
        "a string of at most 10000",
        "(10001 characters)",
    ),
    _bad(
        "number as prediction id",
        _of("prediction", '"prediction_id": 1, "y_pred": 1'),
        "prediction_id",
        "a string of 1 to 256",
        "1",
    ),
    _bad("null prediction", _of("prediction", '"prediction_id": "p", "y_pred": null'), "y_pred", SCALAR, "null"),
    _bad(
        "label of 65 bits",
        _of("label", f'"prediction_id": "p", "y_true": {2**64}'),
        "y_true",
        SCALAR,
        "an integer beyond 64 bits",
    ),
    _bad("no columns", _outcomes('"x": 1'), "y_true", "a list of 1 to 100000 items", "nothing (and 1 more)"),
    _bad(
        "empty columns",
        _outcomes('"y_true": [], "y_pred": []'),
        "y_true",
        "a list of 1 to 100000 items",
        "a list of 0 items",
    ),
    _bad("number as column", _outcomes('"y_true": 1, "y_pred": [1]'), "y_true", "a list", "1"),
    _bad(
        "unequal columns", _outcomes('"y_true": [1, 2], "y_pred": [1]'), "y_pred", "2 items, as many as y_true has", "1"
    ),
    _bad("unequal scores", _outcomes('"y_true": [1], "y_pred": [1], "scores": [1, 2]'), "scores", "1 items", "2"),
    _bad(
        "list in a column", _outcomes('"y_true": [1, [2]], "y_pred": [1, 2]'), "y_true[1]", SCALAR, "a list of 1 items"
    ),
    _bad("NaN in a column", _outcomes('"y_true": [1], "y_pred": [NaN]'), "y_pred[0]", SCALAR, "NaN"),
    _bad(
        "infinity in a column of floats",
        _outcomes('"y_true": [0.5, 1e400], "y_pred": [1, 2]'),
        "y_true[1]",
        SCALAR,
        "Infinity",
    ),
    _bad(
        "huge integer in a column",
        _outcomes(f'"y_true": [1, {"9" * 400}], "y_pred": [1, 2]'),
        "y_true[1]",
        SCALAR,
        "an integer beyond 64 bits",
    ),
    _bad(
        "long label in a column",
        _outcomes(f'"y_true": ["{"x" * 1001}"], "y_pred": [1]'),
        "y_true[0]",
        SCALAR,
        "(1001 characters)",
    ),
    _bad("string as score", _outcomes('"y_true": [1], "y_pred": [1], "scores": ["1"]'), "scores[0]", FINITE, "'1'"),
    _bad(
        "bad time in a column",
        _outcomes('"y_true": [1], "y_pred": [1], "timestamps": ["now"]'),
        "timestamps[0]",
        TIME,
        "'now'",
    ),
    _bad(
        "100,001 items",
        _outcomes('"y_true": [' + "1," * 100_000 + '1], "y_pred": [1]'),
        "y_true",
        "a list of 1 to 100000 items",
        "a list of 100001 items",
    ),
    # Literals that are no JSON, where nobody reads them.
    _bad("NaN in an ignored field", _of("heartbeat", '"x": NaN'), "x", FINITE, "NaN"),
    _bad(
        "infinity deep in an ignored field",
        _of("heartbeat", '"x": {"y": [0, -Infinity]}'),
        "x.y[1]",
        FINITE,
        "-Infinity",
    ),
    _bad("NaN under a repeated key", _of("heartbeat", '"x": NaN, "x": 1'), "value", FINITE, "NaN"),
    # CloudEvents in structured mode.
    _bad("other event version", b'{"specversion": "2.0", "type": "heartbeat"}', "specversion", "'1.0'", "'2.0'"),
    _bad("event with a list", b'{"specversion": "1.0", "data": []}', "data", OBJECT, "a list of 0 items"),
    _bad(
        "event with bad base64", b'{"specversion": "1.0", "data_base64": "e3"}', "data_base64", "JSON in base64", "'e3'"
    ),
    _bad("event without a type", b'{"specversion": "1.0", "data": {}}', "type", TYPES, "nothing"),
    _bad(
        "event with a bad value",
        b'{"specversion": "1.0", "data": ' + _metrics('"accuracy": 9') + b"}",
        "accuracy",
        RATIO,
        "9",
    ),
]

"""docs/settings.md tells every key that there is, from its field; `tests/documents` holds the page to the code."""

from __future__ import annotations

import re
import tomllib

import pytest

from agents.settings import Settings
from agents.settings.keys import known_keys
from tests.documents.page_of_settings import DOCUMENT, keys_told, row

EXAMPLE = re.compile(r"```toml\n(.*?)```", re.DOTALL)


def test_every_key_is_told_once_and_no_other() -> None:
    assert sorted(keys_told()) == sorted(known_keys())


def test_every_key_has_a_meaning() -> None:
    assert [key for key, field in known_keys().items() if not field.description] == []


@pytest.mark.parametrize(
    "told",
    [
        '| `delivery` | `"exactly_once"`, `"at_least_once"` | `"exactly_once"` | `at_least_once` is for brokers',
        "| `lag_warning` | whole number of records from 1 | `100000` |",
        '| `heartbeat_timeout` | duration above 0 | `"5m"` |',
        '| `agents` | list of `"monitor"`, `"retrain"`, `"tuner"`, `"runner"` | all |',
        "| `monitor[].window.advance` | duration above 0 | a tenth of `duration` |",
        "| `monitor[].calibration.file` | path | required |",
        "| `retrain[].min_average_precision_recall` | number from 0 to 1 | none |",
        "| `tune[].memory_mb` | whole number of MiB from 64 to 10000000 | none |",
        "| `tune[].promotion.alpha` | number between 0 and 1 | `0.05` |",
        "| `sasl_password` | text, a secret | none |",
        "| `dashboard.tokens[].name` | text of 1 to 128 characters | required |",
    ],
)
def test_a_row_says_what_may_be_written_and_what_holds_without_it(told: str) -> None:
    key = told.split("`")[1]
    assert row(key).startswith(told)


@pytest.mark.parametrize("example", EXAMPLE.findall(DOCUMENT.read_text()))
def test_every_example_can_be_used_as_it_stands(example: str) -> None:
    Settings(**tomllib.loads(example))

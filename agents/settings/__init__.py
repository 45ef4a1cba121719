"""What an operator may set: one TOML file (`visutility.toml`), the environment (`VISUTILITY_…`), the command line.

`load_settings` reads all three; the later in that order wins. Every key is described in docs/settings.md.
Reading is strict: an unknown key or a bad value raises `SettingsError`, one line that says where and what was expected.
"""

from __future__ import annotations

from agents.settings.load import DEFAULT_FILE, SettingsError, load_settings
from agents.settings.notify import NotifyRule
from agents.settings.root import AGENTS, STAGES, Settings
from agents.settings.rules import (
    METRICS,
    RATIO_METRICS,
    DeliverySettings,
    DetectorSettings,
    ExternalDriftSettings,
    MonitorRule,
    RetrainRule,
    WindowSettings,
)
from agents.settings.tune import TuneRule

__all__ = [
    "AGENTS",
    "DEFAULT_FILE",
    "METRICS",
    "RATIO_METRICS",
    "STAGES",
    "DeliverySettings",
    "DetectorSettings",
    "ExternalDriftSettings",
    "MonitorRule",
    "NotifyRule",
    "RetrainRule",
    "Settings",
    "SettingsError",
    "TuneRule",
    "WindowSettings",
    "load_settings",
]

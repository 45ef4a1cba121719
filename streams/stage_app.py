"""The Faust app of a stage, for those parts of Faust that we replace and that need the engine."""

from __future__ import annotations

from typing import Any

import faust

from streams.engine import Engine


class StageApp(faust.App):
    """A Faust app that knows its engine."""

    engine: Engine[Any]

"""The monitor: windows over every metric of every model, the rules that watch them, and what it says of them."""

from __future__ import annotations

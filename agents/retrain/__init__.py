"""The retrain policy: which findings become requests for a new version, and where requests go."""

from __future__ import annotations

"""schemathesis asks the API whatever its OpenAPI document allows, and what it does not, and holds it to its word."""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import AuthContext, Case
from schemathesis.checks import CHECKS
from schemathesis.config import SchemathesisConfig

from agents.dashboard.access import Access, hashed
from agents.dashboard.api import make_app
from agents.settings.dashboard import DashboardSettings, DashboardToken
from schemas.models import version_key
from tests.dashboard.making import MODEL, alert, drift, letter, request, status
from tests.dashboard.memory import PREFIX, MemorySource
from tests.registry.making import version

#: The short form asks the same each time; VISUTILITY_FUZZ_EXAMPLES=500 asks more, and other things.
EXAMPLES = int(os.environ.get("VISUTILITY_FUZZ_EXAMPLES", "8"))
SHORT = "VISUTILITY_FUZZ_EXAMPLES" not in os.environ


def app_with_data() -> object:
    source = MemorySource()
    source.put("status", status("drift"))
    source.put("drift", drift())
    source.put("retrain", request())
    source.put("alerts", alert())
    source.put("dead-letter", letter(1))
    source.put("models", version("1", MODEL), key=version_key(MODEL, "1"))
    ada = DashboardToken(name="ada", role="operate", sha256=hashed("ada's"))
    return make_app(source, Access(DashboardSettings(tokens=[ada])), PREFIX)


#: 413 is none that schemathesis knows for what is not as it should be; a value may be too long for that by far.
REJECTED = [400, 401, 403, 404, 405, 409, 413, 422]

config = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REJECTED}}})
whole = schemathesis.openapi.from_asgi("/api/openapi.json", app_with_data(), config=config)
schema = whole.exclude(path="/api/v1/changes")


@schema.auth()
class Token:
    """Who asks: schemathesis also leaves it out, and sends others, to see that nobody comes in that way."""

    def get(self, case: Case[Any], context: AuthContext) -> str:
        return "ada's"

    def set(self, case: Case[Any], data: str, context: AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


@pytest.mark.timeout(600)
@schema.parametrize()
@settings(max_examples=EXAMPLES, derandomize=SHORT, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_answers_everything_as_its_document_says(case: Case[Any]) -> None:
    # A name that the document allows is mostly no model's: what is refused for that is refused rightly.
    case.call_and_validate(excluded_checks=[CHECKS.get_one("positive_data_acceptance")])  # type: ignore[list-item]

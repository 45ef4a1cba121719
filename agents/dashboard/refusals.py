"""What the API says when it does not do what was asked: an error in one line, and the status that goes with it."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from agents.dashboard.changes import TooManyListeners
from agents.dashboard.documents import Error
from agents.dashboard.source import Unavailable
from agents.orders import OrderInvalid
from agents.registry.actions import ActionRefused
from agents.registry.view import NotFound

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Error, "description": "The body is no JSON in UTF-8"},
    401: {"model": Error, "description": "Who asks is not known"},
    403: {"model": Error, "description": "Who asks may not do this"},
    404: {"model": Error, "description": "There is no such model, version or dead letter"},
    409: {"model": Error, "description": "The state of things does not allow it"},
    413: {"model": Error, "description": "The body is too large"},
    422: {"model": Error, "description": "A value is not as it should be"},
    503: {"model": Error, "description": "Kafka does not answer, or what is asked for is not there yet"},
}


def tell_errors_in_one_line(app: FastAPI) -> None:
    """Answer whatever is raised with an `Error`."""

    @app.exception_handler(StarletteHTTPException)
    async def _http(_: Request, problem: StarletteHTTPException) -> Response:
        return JSONResponse({"error": str(problem.detail)}, problem.status_code, headers=problem.headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, problem: RequestValidationError) -> Response:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query"))
        return JSONResponse({"error": f"{where or 'body'}: {first['msg']}"}, 422)

    @app.exception_handler(NotFound)
    async def _missing(_: Request, problem: NotFound) -> Response:
        return JSONResponse({"error": str(problem)}, 404)

    @app.exception_handler(ActionRefused)
    async def _refused(_: Request, problem: ActionRefused) -> Response:
        return JSONResponse({"error": str(problem)}, 409)

    @app.exception_handler(OrderInvalid)
    async def _wrong(_: Request, problem: OrderInvalid) -> Response:
        return JSONResponse({"error": str(problem)}, 422)

    @app.exception_handler(Exception)
    async def _unexpected(_: Request, problem: Exception) -> Response:
        return JSONResponse({"error": "something unexpected went wrong; the dashboard's log says what"}, 500)

    @app.exception_handler(Unavailable)
    @app.exception_handler(TooManyListeners)
    async def _unavailable(_: Request, problem: Exception) -> Response:
        return JSONResponse({"error": str(problem)}, 503, headers={"retry-after": "2"})

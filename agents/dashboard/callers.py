"""Who asks, as the routes take it: those who may read, and those who may act."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from agents.dashboard.access import Access, Identity

_bearer = HTTPBearer(auto_error=False, description="A token that `visutility dashboard token` made")


async def reader(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None
) -> Identity:
    """Who asks; nobody gets further who may not even read."""
    access: Access = request.app.state.access
    found = access.identify(request.client.host if request.client else "", request.headers)
    if found is None:
        said = "who are you? send a token: Authorization: Bearer …"
        raise HTTPException(401, said, {"www-authenticate": "Bearer"})
    return found


async def operator(who: Annotated[Identity, Depends(reader)]) -> Identity:
    """Who asks, if they may act."""
    if who.role != "operate":
        raise HTTPException(403, f"{who.name} may read; to act, a token of the role operate is needed")
    return who


Reader = Annotated[Identity, Depends(reader)]
Operator = Annotated[Identity, Depends(operator)]

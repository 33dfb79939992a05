"""API tokens over the API; a script needs the scope `admin` for it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from app.core.clock import Clock
from app.core.web.auth import identity_of
from app.core.web.fresh import require_fresh
from app.core.web.openapi import NOT_FOUND, UNAUTHORISED, ErrorOut, OkOut
from app.features.access import schemas
from app.features.access.gate import token_of
from app.features.access.recorder import remark
from app.features.access.tokens import Token, Tokens

AnyRequest = Request[Any, Any, Any]
REFUSED: Final = {
    **UNAUTHORISED,
    400: ResponseSpec(ErrorOut, description="what is wrong, and in which field"),
    409: ResponseSpec(ErrorOut, description="there is one of this name"),
}


async def make(request: AnyRequest, tokens: Tokens, wanted: schemas.TokenInput) -> tuple[Token, str]:
    """A token for who asks."""
    require_fresh(request)
    identity, own = identity_of(request), token_of(request)
    by = identity.principal if identity else "unknown"
    remark(request, kind="token", label=" ".join(wanted.name.split())[:60], scope=wanted.scope.value)
    token, text = await tokens.create(
        wanted.name, wanted.scope, wanted.expires_in_days, by, own.expires_at if own else None
    )
    remark(request, object_id=token.id, expires=token.expires_at.date().isoformat() if token.expires_at else "never")
    return token, text


@get("/api/tokens", operation_id="listTokens", summary="API tokens", tags=["access"], responses=UNAUTHORISED)
async def token_list(tokens: NamedDependency[Tokens], clock: NamedDependency[Clock]) -> schemas.TokensOut:
    """Newest first, without secrets; those revoked in the last 30 days too."""
    now = clock.now()
    return schemas.TokensOut(tokens=[schemas.TokenOut.of(token, now) for token in tokens.all()])


@post(
    "/api/tokens",
    status_code=200,
    operation_id="createToken",
    summary="Make an API token",
    tags=["access"],
    responses=REFUSED,
)
async def token_create(
    request: AnyRequest,
    tokens: NamedDependency[Tokens],
    clock: NamedDependency[Clock],
    data: JSONBody[schemas.TokenInput],
) -> Response[schemas.TokenMadeOut]:
    """`value` is the token, told this once and not kept. A token made by a token ends with it at the latest."""
    token, text = await make(request, tokens, data)
    made = schemas.TokenMadeOut(token=schemas.TokenOut.of(token, clock.now()), value=text)
    return Response(made, headers={"Cache-Control": "no-store"})


@delete(
    "/api/tokens/{token_id:str}",
    status_code=200,
    operation_id="revokeToken",
    summary="Revoke an API token",
    tags=["access"],
    responses={**UNAUTHORISED, **NOT_FOUND},
)
async def token_revoke(request: AnyRequest, tokens: NamedDependency[Tokens], token_id: FromPath[str]) -> OkOut:
    """It opens nothing from the next request on."""
    remark(request, label=(await tokens.revoke(token_id)).name)
    return OkOut()


HANDLERS: Final = (token_list, token_create, token_revoke)

"""The pages `/settings/tokens` and `/settings/audit` with their forms; all of it works without JavaScript."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from app.core.clock import Clock
from app.core.errors import Conflict, InvalidArgument
from app.core.web.answers import Toast, done
from app.core.web.forms import parse, read_form
from app.core.web.languages import _
from app.core.web.openapi import NOT_FOUND
from app.core.web.view import Pages, View, shape
from app.features.access import acts
from app.features.access.controllers import make
from app.features.access.page_schemas import (
    AuditPage,
    AuditQuery,
    TokenMadePage,
    TokenProblem,
    TokenRevokePage,
    TokensPage,
)
from app.features.access.recorder import MEANS, remark
from app.features.access.schemas import TokenInput, TokenOut
from app.features.access.tokens import DAYS, Tokens
from app.features.access.trail import Trail, parse_filter
from app.features.preferences import Sections
from app.settings import Settings

AnyRequest = Request[Any, Any, Any]
HERE: Final = "/settings/tokens"
FORM: Final[dict[str, Any]] = {"status_code": 200, "include_in_schema": False}
PER_PAGE: Final = 50


@get(HERE, operation_id="tokensPage", summary="Page of API tokens", tags=["pages"])
async def tokens_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    tokens: NamedDependency[Tokens],
    sections: NamedDependency[Sections],
    clock: NamedDependency[Clock],
) -> View[TokensPage]:
    """Which there are, when they were used last, and a form for a new one."""
    return await pages.show(request, _tokens(tokens, sections, clock), "access/token_list.html")


@post(HERE, **FORM)
async def token_create(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    tokens: NamedDependency[Tokens],
    sections: NamedDependency[Sections],
    clock: NamedDependency[Clock],
) -> Response[Any]:
    """A page with the token, which is shown this once; or the form again with what is wrong."""
    fields = {name: values[-1] for name, values in (await read_form(request)).items() if values}
    days = fields.get("expiresInDays", "90")
    choices: dict[str, int | None] = {"never": None, **{str(number): number for number in DAYS}}
    typed: dict[str, Any] = {**fields, "expiresInDays": choices.get(days, days)}
    try:
        token, text = await make(request, tokens, parse(TokenInput, typed))
    except (InvalidArgument, Conflict) as error:
        if shape(request) != "page":
            raise
        content = _tokens(tokens, sections, clock)
        field = str(error.details.get("field", "name"))
        content.problem = TokenProblem(field=field, message=error.message.removeprefix(f"{field}: "), hint=error.hint)
        content.entered = {name: value[:200] for name, value in fields.items()}
        view: View[Any] = await pages.show(request, content, "access/token_list.html")
        view.status_code = error.status
        return view
    made = TokenMadePage(token=TokenOut.of(token, clock.now()), value=text, sections=sections.links())
    view = await pages.show(request, made, "access/token_made.html")
    view.headers["Cache-Control"] = "no-store"
    return view


@get(
    f"{HERE}/{{token_id:str}}/revoke",
    operation_id="tokenRevokePage",
    summary="Page to revoke an API token",
    tags=["pages"],
    responses=NOT_FOUND,
)
async def revoke_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    tokens: NamedDependency[Tokens],
    sections: NamedDependency[Sections],
    clock: NamedDependency[Clock],
    token_id: FromPath[str],
) -> View[TokenRevokePage]:
    """What ends with it, and the button."""
    content = TokenRevokePage(token=TokenOut.of(tokens.get(token_id), clock.now()), sections=sections.links())
    return await pages.show(request, content, "access/token_revoke.html")


@post(f"{HERE}/{{token_id:str}}/revoke", **FORM)
async def token_revoke(
    request: AnyRequest, pages: NamedDependency[Pages], tokens: NamedDependency[Tokens], token_id: FromPath[str]
) -> Response[Any]:
    """Revoke it."""
    await read_form(request)
    gone = await tokens.revoke(token_id)
    remark(request, label=gone.name)
    answer = done(request, pages, Toast(_("%(name)s is revoked.", name=gone.name), tone="back"), go_to=HERE)
    if not isinstance(answer, Redirect):
        answer.headers["HX-Redirect"] = HERE
    return answer


@get("/settings/audit", operation_id="auditPage", summary="Page of the audit trail", tags=["pages"])
async def audit_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    trail: NamedDependency[Trail],
    sections: NamedDependency[Sections],
    settings: NamedDependency[Settings],
    principal: FromQuery[str] = "",
    action: FromQuery[str] = "",
    means: FromQuery[str] = "",
    outcome: FromQuery[str] = "",
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
) -> View[AuditPage]:
    """Who did what, with filters; older ones on further pages."""
    found = await trail.page(parse_filter(principal, action, means, outcome, since, until), cursor, PER_PAGE)
    content = AuditPage(
        events=found.events,
        next_cursor=found.next_cursor,
        cursor=cursor,
        query=AuditQuery(
            principal=principal, action=action, means=means, outcome=outcome, since=since[:40], until=until[:40]
        ),
        actions=acts.actions(),
        means=list(MEANS),
        retention_days=settings.audit_retention_days,
        max_rows=settings.audit_max_rows,
        sections=sections.links(),
    )
    return await pages.show(request, content, "access/audit_list.html")


def _tokens(tokens: Tokens, sections: Sections, clock: Clock) -> TokensPage:
    now = clock.now()
    return TokensPage(tokens=[TokenOut.of(token, now) for token in tokens.all()], sections=sections.links())


HANDLERS: Final = (tokens_page, token_create, revoke_page, token_revoke, audit_page)

"""`/login`, `/logout` and the steps of the ceremonies. What is public here looks at form token and site itself."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect

from app.core.errors import AuthRequired, Conflict, Forbidden
from app.core.web.auth import AuthPolicy, Identity, identity_of
from app.core.web.forms import csrf_token, read_form
from app.core.web.fresh import require_fresh
from app.core.web.origin import refuse_other_sites
from app.core.web.view import HTML, VARY, Pages, View, shape
from app.features.access import remark
from app.features.passkeys.door import Door, session_of
from app.features.passkeys.keys import Passkeys
from app.features.passkeys.login import Begun, Login
from app.features.passkeys.page_schemas import LoginPage, LogoutPage, TouchPage
from app.features.passkeys.passes import Passes
from app.features.passkeys.rules import device_text, safe_next
from app.features.passkeys.sessions import Sessions

AnyRequest = Request[Any, Any, Any]
PUBLIC: Final[dict[str, Any]] = {"opt": {"public": True}, "status_code": 200, "include_in_schema": False}
FORM: Final[dict[str, Any]] = {"status_code": 200, "include_in_schema": False}
NO_STORE: Final = {**VARY, "Cache-Control": "no-store"}


@get("/login", **PUBLIC)
async def login_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    door: NamedDependency[Door],
    passkeys: NamedDependency[Passkeys],
) -> Response[Any]:
    """Sign in; whoever is signed in already goes on."""
    wanted = safe_next(request.query_params.get("next", ""))
    if await door.session(request) is not None:
        return Redirect(wanted, status_code=303, headers=dict(NO_STORE))
    policy: AuthPolicy = request.app.state.auth_policy
    content = LoginPage(has_passkeys=await passkeys.count() > 0, next=wanted, proxy=policy.has_allow_list)
    try:
        content.origin = (await door.place(request)).origin
    except Conflict as error:
        content.problem, content.remedy = error.message, error.hint
    if shape(request) == "json":
        return Response(
            content.model_dump_json(by_alias=True).encode(), media_type="application/json", headers=NO_STORE
        )
    return _bare(request, pages, "passkeys/login.html", content, _forward_auth(policy, request))


@get("/login/options", **PUBLIC)
async def login_begin(request: AnyRequest, door: NamedDependency[Door], login: NamedDependency[Login]) -> Response[Any]:
    """A challenge for any passkey of this place."""
    _refuse_other_pages(request)
    return _begun(request, door, await login.begin_login(request))


@post("/login", **PUBLIC)
async def login_finish(
    request: AnyRequest, door: NamedDependency[Door], login: NamedDependency[Login]
) -> Response[Any]:
    """Signed in, when the passkey's answer is right."""
    fields = await _form(request)
    key, token = await login.finish_login(request, fields.get("credential", ""))
    remark(request, kind="passkey", object_id=key.id, label=key.name)
    return _signed_in(request, door, token, safe_next(fields.get("next", "")))


@post("/login/enrol/options", **PUBLIC)
async def enrol_begin(request: AnyRequest, door: NamedDependency[Door], login: NamedDependency[Login]) -> Response[Any]:
    """A challenge for a new passkey, for who has a code."""
    fields = await _form(request)
    return _begun(request, door, await login.begin_enrol(request, fields.get("code", "")))


@post("/login/enrol", **PUBLIC)
async def enrol_finish(
    request: AnyRequest, door: NamedDependency[Door], login: NamedDependency[Login]
) -> Response[Any]:
    """Keep the new passkey, end the code, sign in."""
    fields = await _form(request)
    key = await login.finish_new(request, "enrol", fields.get("credential", ""), fields.get("name", ""))
    token = await login.open_after_enrolling(request, key)
    remark(request, kind="passkey", object_id=key.id, label=key.name)
    return _signed_in(request, door, token, safe_next(fields.get("next", "")))


@get("/settings/passkeys/options", **FORM)
async def add_begin(request: AnyRequest, door: NamedDependency[Door], login: NamedDependency[Login]) -> Response[Any]:
    """A challenge for a further passkey."""
    _refuse_other_pages(request)
    require_fresh(request)
    _require_name(request)
    return _begun(request, door, await login.begin_add(request))


@post("/settings/passkeys", **FORM)
async def add_finish(request: AnyRequest, door: NamedDependency[Door], login: NamedDependency[Login]) -> Response[Any]:
    """Keep the further passkey."""
    fields = {name: values[-1] for name, values in (await read_form(request)).items() if values}
    require_fresh(request)
    _require_name(request)
    key = await login.finish_new(request, "add", fields.get("credential", ""), fields.get("name", ""))
    remark(request, kind="passkey", object_id=key.id, label=key.name)
    answer = Response({"next": "/settings/passkeys"}, headers=dict(NO_STORE), media_type="application/json")
    answer.set_cookie(door.ticket_cookie(request, ""))
    return answer


@get("/login/touch", **FORM)
async def touch_page(request: AnyRequest, pages: NamedDependency[Pages]) -> View[TouchPage]:
    """Where a browser is led whose session is not enough for what it asked."""
    return await pages.show(
        request, TouchPage(next=safe_next(request.query_params.get("next", ""))), "passkeys/touch.html"
    )


@get("/login/touch/options", **FORM)
async def touch_begin(request: AnyRequest, door: NamedDependency[Door], login: NamedDependency[Login]) -> Response[Any]:
    """A challenge for a passkey of the owner."""
    _refuse_other_pages(request)
    return _begun(request, door, await login.begin_login(request, "touch"))


@post("/login/touch", **FORM)
async def touch_finish(
    request: AnyRequest, door: NamedDependency[Door], login: NamedDependency[Login]
) -> Response[Any]:
    """The session is fresh, when the passkey's answer is right."""
    fields = {name: values[-1] for name, values in (await read_form(request)).items() if values}
    known = session_of(request)
    if known is None:
        raise Forbidden("there is no session", hint="This is for who signed in with a passkey.")
    key = await login.touch(request, known, fields.get("credential", ""))
    remark(request, kind="passkey", object_id=key.id, label=key.name)
    answer = Response(
        {"next": safe_next(fields.get("next", ""))}, headers=dict(NO_STORE), media_type="application/json"
    )
    answer.set_cookie(door.ticket_cookie(request, ""))
    return answer


@get("/logout", operation_id="logoutPage", include_in_schema=False)
async def logout_page(request: AnyRequest, pages: NamedDependency[Pages]) -> Response[Any]:
    """The button that signs out; a link alone must not."""
    known = session_of(request)
    if known is None:
        return Redirect("/", status_code=303)
    return await pages.show(
        request, LogoutPage(passkey=known.passkey, device=device_text(known.device)), "passkeys/logout.html"
    )


@post("/logout", **FORM)
async def logout(
    request: AnyRequest,
    door: NamedDependency[Door],
    sessions: NamedDependency[Sessions],
    passes: NamedDependency[Passes],
) -> Response[Any]:
    """End this browser's session."""
    await read_form(request)
    await sessions.end_token(door.token(request))
    request.scope["state"].pop("session_cookie", None)
    answer = Redirect("/login", status_code=303, headers={"Cache-Control": "no-store", "Clear-Site-Data": '"cache"'})
    answer.set_cookie(door.cookie(request, ""))
    answer.set_cookie(passes.none(request))
    if request.headers.get("hx-request") == "true":
        gone: Response[Any] = Response(
            b"", media_type=HTML, headers={"HX-Redirect": "/login", "Cache-Control": "no-store"}
        )
        gone.set_cookie(door.cookie(request, ""))
        gone.set_cookie(passes.none(request))
        return gone
    return answer


async def _form(request: AnyRequest) -> dict[str, str]:
    """Guards do not look at public addresses. Raises Forbidden, InvalidArgument."""
    refuse_other_sites(request, request.app.state.auth_policy)
    return {name: values[-1] for name, values in (await read_form(request)).items() if values}


def _refuse_other_pages(request: AnyRequest) -> None:
    """A challenge is for our own script: no other site, no link, no address typed. Raises Forbidden."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Forbidden("this request came from another site", hint="Open Dockrev itself and repeat the action there.")


def _require_name(request: AnyRequest) -> None:
    """Who was let in without a name needs a code: what is open to anyone must not become somebody's own."""
    identity = identity_of(request)
    if identity is None or identity.matched_by == "anonymous_dev":
        raise Forbidden(
            "the first passkey needs a code",
            hint="Open /login and enter the code from Dockrev's log, or of `dockrev passkeys code`.",
            details={"reason": "enrolment_code_needed"},
        )


def _begun(request: AnyRequest, door: Door, begun: Begun) -> Response[Any]:
    answer = Response(begun.options, headers=dict(NO_STORE), media_type="application/json")
    answer.set_cookie(door.ticket_cookie(request, begun.ticket))
    return answer


def _signed_in(request: AnyRequest, door: Door, token: str, go_to: str) -> Response[Any]:
    request.scope["state"]["identity"] = Identity(door.owner, door.owner, (), "passkey")  # for the audit trail
    answer = Response({"next": go_to}, headers=dict(NO_STORE), media_type="application/json")
    answer.set_cookie(door.cookie(request, token))
    answer.set_cookie(door.ticket_cookie(request, ""))
    return answer


def _forward_auth(policy: AuthPolicy, request: AnyRequest) -> dict[str, Any]:
    """For the template: why the proxy's word was not enough, and who sent it; nothing where it is not asked or was."""
    if policy.has_allow_list:
        try:
            policy.identify(request)
        except AuthRequired as error:
            return {"auth": error.details, "sender": policy.sender(request)}
    return {"auth": None, "sender": None}


def _bare(request: AnyRequest, pages: Pages, template: str, content: LoginPage, more: dict[str, Any]) -> Response[Any]:
    """A page for somebody who was not let in: nothing of the house on it."""
    token, cookie = csrf_token(request)
    html = pages.render(template, frame=pages.frames.bare(request), csrf_token=token, page=content, **more)
    answer: Response[Any] = Response(html.encode(), media_type=HTML, headers=dict(NO_STORE))
    if cookie:
        answer.set_cookie(cookie)
    return answer


HANDLERS: Final = (
    login_page,
    login_begin,
    login_finish,
    enrol_begin,
    enrol_finish,
    add_begin,
    add_finish,
    touch_page,
    touch_begin,
    touch_finish,
    logout_page,
    logout,
)

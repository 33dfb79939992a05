"""The page `/settings/passkeys` with its forms; all of it but a new passkey works without JavaScript."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from app.core.errors import Conflict
from app.core.web.answers import Toast, done
from app.core.web.auth import identity_of
from app.core.web.forms import read_form
from app.core.web.fresh import require_fresh
from app.core.web.languages import _, known, ngettext
from app.core.web.openapi import NOT_FOUND
from app.core.web.view import Pages, View
from app.features.access import remark
from app.features.passkeys.codes import Codes
from app.features.passkeys.door import Door, session_of
from app.features.passkeys.keys import Passkeys
from app.features.passkeys.page_schemas import PasskeyOut, PasskeysPage, RemovePage, RenamePage, SessionOut
from app.features.passkeys.sessions import Sessions
from app.features.preferences import Sections

AnyRequest = Request[Any, Any, Any]
HERE: Final = "/settings/passkeys"
FORM: Final[dict[str, Any]] = {"status_code": 200, "include_in_schema": False}


@get(HERE, operation_id="passkeysPage", summary="Page of passkeys and sessions", tags=["pages"])
async def passkeys_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    passkeys: NamedDependency[Passkeys],
    sessions: NamedDependency[Sessions],
    sections: NamedDependency[Sections],
    door: NamedDependency[Door],
) -> View[PasskeysPage]:
    """Which there are, which browsers are signed in, and a form for another passkey."""
    identity, current = identity_of(request), session_of(request)
    content = PasskeysPage(
        passkeys=[PasskeyOut.of(key) for key in await passkeys.all()],
        sessions=[SessionOut.of(session, current) for session in await sessions.all()],
        sections=sections.links(),
        may_add=identity is not None and identity.matched_by != "anonymous_dev",
    )
    try:
        content.origin = (await door.place(request)).origin
    except Conflict as error:
        message, hint = (known(text) or text for text in (error.message, error.hint))
        content.problem = _("%(message)s. %(hint)s", message=message, hint=hint)
    return await pages.show(request, content, "passkeys/passkey_list.html")


@get(
    f"{HERE}/{{passkey_id:str}}/remove",
    operation_id="passkeyRemovePage",
    summary="Page to remove a passkey",
    tags=["pages"],
    responses=NOT_FOUND,
)
async def remove_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    passkeys: NamedDependency[Passkeys],
    sessions: NamedDependency[Sessions],
    sections: NamedDependency[Sections],
    passkey_id: FromPath[str],
) -> View[RemovePage]:
    """What ends with it, and the button."""
    key = await passkeys.get(passkey_id)
    content = RemovePage(
        passkey=PasskeyOut.of(key),
        last=await passkeys.count() == 1,
        ends=sum(session.passkey_id == key.id for session in await sessions.all()),
        sections=sections.links(),
    )
    return await pages.show(request, content, "passkeys/passkey_remove.html")


@post(f"{HERE}/{{passkey_id:str}}/remove", **FORM)
async def passkey_remove(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    passkeys: NamedDependency[Passkeys],
    codes: NamedDependency[Codes],
    sessions: NamedDependency[Sessions],
    passkey_id: FromPath[str],
) -> Response[Any]:
    """Remove it with its sessions; the last one only when that was said."""
    fields = await read_form(request)
    require_fresh(request)
    gone = await passkeys.remove(passkey_id, even_the_last=fields.get("last", [""])[-1] == "yes")
    remark(request, label=gone.name)
    await codes.announce()
    await sessions.ended()
    return _led(request, pages, Toast(_("%(name)s is removed.", name=gone.name), tone="back"))


@get(
    f"{HERE}/{{passkey_id:str}}/rename",
    operation_id="passkeyRenamePage",
    summary="Page to rename a passkey",
    tags=["pages"],
    responses=NOT_FOUND,
)
async def rename_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    passkeys: NamedDependency[Passkeys],
    sections: NamedDependency[Sections],
    passkey_id: FromPath[str],
) -> View[RenamePage]:
    """What it is called, and a field for another name."""
    content = RenamePage(passkey=PasskeyOut.of(await passkeys.get(passkey_id)), sections=sections.links())
    return await pages.show(request, content, "passkeys/passkey_rename.html")


@post(f"{HERE}/{{passkey_id:str}}/rename", **FORM)
async def passkey_rename(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    passkeys: NamedDependency[Passkeys],
    passkey_id: FromPath[str],
) -> Response[Any]:
    """Call it something else; its sessions go on."""
    fields = await read_form(request)
    renamed = await passkeys.rename(passkey_id, fields.get("name", [""])[-1])
    remark(request, label=renamed.name)
    return _led(request, pages, Toast(_("It is called %(name)s now.", name=renamed.name)))


@post(f"{HERE}/sessions/{{session_id:str}}/end", **FORM)
async def session_end(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    sessions: NamedDependency[Sessions],
    session_id: FromPath[str],
) -> Response[Any]:
    """Sign a browser out."""
    await read_form(request)
    await sessions.end(session_id)
    return _led(request, pages, Toast(_("That browser is signed out."), tone="back"))


@post(f"{HERE}/sessions/end-others", **FORM)
async def sessions_end_others(
    request: AnyRequest, pages: NamedDependency[Pages], sessions: NamedDependency[Sessions]
) -> Response[Any]:
    """Sign every browser out but this one."""
    await read_form(request)
    current = session_of(request)
    count = await sessions.end_others(current.id if current else "")
    told = ngettext("%(num)s browser is signed out.", "%(num)s browsers are signed out.", count)
    return _led(request, pages, Toast(told, tone="back"))


def _led(request: AnyRequest, pages: Pages, toast: Toast) -> Response[Any]:
    answer = done(request, pages, toast, go_to=HERE)
    if not isinstance(answer, Redirect):
        answer.headers["HX-Redirect"] = HERE
    return answer


HANDLERS: Final = (
    passkeys_page,
    remove_page,
    passkey_remove,
    rename_page,
    passkey_rename,
    session_end,
    sessions_end_others,
)

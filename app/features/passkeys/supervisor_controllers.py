"""`/self-upgrade/open`: the way from Dockrev to its supervisor, with a pass for who is signed in."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.response import Redirect

from app.core.errors import NotFound
from app.core.web.auth import identity_of
from app.core.web.passes import OPEN_PATH
from app.core.web.presentation import web_link
from app.features.passkeys.door import login_address, session_of
from app.features.passkeys.passes import Passes
from app.features.passkeys.touches import Touches

AnyRequest = Request[Any, Any, Any]
# What the supervisor's form may be filled with again after a touch; it looks at it anew.
KEPT: Final = {
    "tag": re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII),
    "digest": re.compile(r"sha256:[0-9a-f]{64}", re.ASCII),
    "back": re.compile(r"[01]", re.ASCII),
}


@get(OPEN_PATH, status_code=200, include_in_schema=False)
async def open_supervisor(
    request: AnyRequest, passes: NamedDependency[Passes], touches: NamedDependency[Touches]
) -> Response[Any]:
    """Lead there; with `touch=1` only after a touch a moment ago. Who came by the proxy needs no pass: it names them
    there, too. Who came without a name would not be let in there, and is led to the first passkey."""
    to = web_link(passes.address)
    if to is None:
        raise NotFound("the supervisor is not configured", hint="DOCKREV_SELF_UPGRADE_URL says where it is.")
    kept = {name: value for name, form in KEPT.items() if form.fullmatch(value := request.query_params.get(name, ""))}
    if kept and "?" not in to:
        to = f"{to}?{urlencode(kept)}"
    answer = Redirect(to, status_code=303, headers={"Cache-Control": "no-store"})
    known, identity = session_of(request), identity_of(request)
    if known is None and identity is not None and identity.matched_by == "anonymous_dev":  # before the first passkey
        return Redirect(login_address(request), status_code=303, headers={"Cache-Control": "no-store"})
    if known is not None and passes.reaches(request):
        if request.query_params.get("touch") == "1":
            touches.require(request)
        answer.set_cookie(await passes.make(request, known))
    return answer


HANDLERS: Final = (open_supervisor,)

"""What an action answers: a toast to HTMX, a redirect to a plain form; both lead to the same place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from litestar import Request, Response
from litestar.response import Redirect

from app.core.web.languages import pgettext
from app.core.web.view import HTML, VARY, Pages

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Toast:
    """One sentence about what was done, and where to watch it; `link` is what that link is called."""

    text: str
    href: str = ""
    link: str = ""
    tone: Literal["ok", "up", "back"] = "ok"


def done(request: AnyRequest, pages: Pages, toast: Toast, *, go_to: str = "") -> Response[Any]:
    """`go_to` is where a browser without JavaScript lands: else the toast's link, else the page it came from."""
    if request.headers.get("hx-request") == "true":
        shown = toast if toast.link else replace(toast, link=pgettext("toast", "Watch"))
        html = pages.render("ui/_toast.html", toast=shown)
        return Response(html.encode(), media_type=HTML, headers=dict(VARY))
    return Redirect(go_to or toast.href or came_from(request), status_code=303)


def came_from(request: AnyRequest) -> str:
    """The page of ours that the form was on; never another site."""
    parts = urlsplit(request.headers.get("referer", ""))
    same = parts.netloc == request.headers.get("host", "")
    if not same or not parts.path.startswith("/") or parts.path.startswith("//"):
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "")

"""One answer in three shapes: JSON for scripts, a page for browsers, a fragment for HTMX.

The rule is in `shape`, once: `/api/…` is always JSON; elsewhere `HX-Request` (not boosted) gets the block of the page
it asked for, `Accept` that prefers JSON gets JSON, everything else gets the page. All of it with `Vary`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Literal, Protocol, TypeVar

from jinja2 import Environment
from jinja2_fragments import render_block
from litestar import Request, Response
from litestar.datastructures import Cookie
from pydantic import BaseModel

from app.core.web.forms import csrf_token
from app.core.web.frame import Frame

T = TypeVar("T", bound=BaseModel)
Shape = Literal["json", "page", "fragment"]
AnyRequest = Request[Any, Any, Any]
VARY = {"Vary": "Accept, HX-Request, Accept-Language, Cookie"}
HTML = "text/html"  # the framework adds the charset


class View(Response[T], Generic[T]):
    """A rendered answer; the parameter is the model of its JSON."""


class FrameSource(Protocol):
    """Makes what every page carries around its content."""

    async def full(self, request: AnyRequest, topics: Sequence[str]) -> Frame:
        """With the running job; needs the database."""
        ...

    def bare(self, request: AnyRequest) -> Frame:
        """For error pages: asks nobody, listens to no stream."""
        ...


def shape(request: AnyRequest) -> Shape:
    """Which of the three shapes this request gets."""
    if request.url.path == "/api" or request.url.path.startswith("/api/"):
        return "json"
    headers = request.headers
    if headers.get("hx-request") == "true" and headers.get("hx-boosted") != "true":
        return "fragment"
    if headers.get("accept", "").strip() in ("", "*/*"):
        return "page" if "mozilla" in headers.get("user-agent", "").lower() else "json"
    return "json" if request.accept.best_match(["text/html", "application/json"]) == "application/json" else "page"


class Pages:
    """Renders. One per application."""

    def __init__(self, environment: Environment, frames: FrameSource) -> None:
        self.environment = environment
        self.frames = frames

    async def show(
        self,
        request: AnyRequest,
        content: T,
        template: str,
        *,
        topics: Sequence[str] = (),
        name: str = "page",
        fragment_template: str | None = None,
    ) -> View[T]:
        """Answer `content` (called `name` in the template) in the shape asked for.

        `topics` are what the page's stream tells of. A fragment is `fragment_template` when there is one, else the
        block named like `HX-Target` (`-` as `_`), else the block `page`.
        """
        wanted = shape(request)
        if wanted == "json":
            body = content.model_dump_json(by_alias=True).encode()
            return _view(body, "application/json", VARY)
        token, cookie = csrf_token(request)
        context = {name: content, "frame": await self.frames.full(request, topics), "csrf_token": token}
        if wanted == "fragment" and fragment_template:
            html = self.render(fragment_template, **context)
        elif wanted == "fragment":
            html = self.block(template, self._wanted_block(request, template), **context)
        else:
            html = self.environment.get_template(template).render(**context)
        view: View[T] = _view(html.encode(), HTML, {**VARY, "Cache-Control": "no-cache, private"})
        if cookie:
            view.set_cookie(cookie)
        return view

    def block(self, template: str, block: str, **context: Any) -> str:
        """One block of a template as text."""
        return render_block(self.environment, template, block, **context)

    def render(self, template: str, **context: Any) -> str:
        """A template that needs no frame: a partial or a macro file."""
        return self.environment.get_template(template).render(**context)

    def bare(self, request: AnyRequest, template: str, **context: Any) -> str:
        """A page that asks nobody anything, for errors."""
        return self.bare_with_cookie(request, template, **context)[0]

    def bare_with_cookie(self, request: AnyRequest, template: str, **context: Any) -> tuple[str, Cookie | None]:
        """`bare`, and the cookie to set so that the forms around the page work."""
        token, cookie = csrf_token(request)
        return self.render(template, frame=self.frames.bare(request), csrf_token=token, **context), cookie

    def _wanted_block(self, request: AnyRequest, template: str) -> str:
        block = request.headers.get("hx-target", "").replace("-", "_")
        return block if block in self.environment.get_template(template).blocks else "page"


def _view(body: bytes, media_type: str, headers: dict[str, str]) -> View[Any]:
    return View(body, media_type=media_type, headers=dict(headers))

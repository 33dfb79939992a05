"""One answer in three shapes: JSON for scripts, a page for browsers, a fragment for HTMX.

The rule is in `shape`, once: `/api/…` is always JSON; elsewhere `HX-Request` (not boosted) gets the block of the page
it asked for, `Accept` that prefers JSON gets JSON, everything else gets the page. All of it with `Vary`.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from jinja2 import Environment, TemplateNotFound
from litestar import Request, Response
from pydantic import BaseModel

from app.core.web.forms import csrf_token
from app.core.web.shell import Shell, ShellSource

T = TypeVar("T", bound=BaseModel)
Shape = Literal["json", "page", "fragment"]
VARY = {"Vary": "Accept, HX-Request"}
HTML = "text/html; charset=utf-8"


class View(Response[T], Generic[T]):
    """A rendered answer; the parameter is the model of its JSON."""


def shape(request: Request[Any, Any, Any]) -> Shape:
    """Which of the three shapes this request gets."""
    if request.url.path.startswith("/api/") or request.url.path == "/api":
        return "json"
    headers = request.headers
    if headers.get("hx-request") == "true" and headers.get("hx-boosted") != "true":
        return "fragment"
    if "accept" not in headers or headers["accept"].strip() in ("", "*/*"):
        return "page" if "mozilla" in headers.get("user-agent", "").lower() else "json"
    return "json" if request.accept.best_match(["text/html", "application/json"]) == "application/json" else "page"


class Pages:
    """Renders. One per application."""

    def __init__(self, environment: Environment, shells: ShellSource) -> None:
        self.environment = environment
        self._shells = shells

    async def show(
        self,
        request: Request[Any, Any, Any],
        content: T,
        template: str,
        *,
        block: str | None = None,
        status_code: int = 200,
    ) -> View[T]:
        """Answer `content` in the shape asked for.

        A fragment is the block named like `HX-Target` (`-` as `_`) if there is one, else `block`, else `main`.
        """
        wanted = shape(request)
        if wanted == "json":
            body = content.model_dump_json(by_alias=True).encode()
            return View(body, media_type="application/json", headers=dict(VARY), status_code=status_code)  # type: ignore[arg-type]
        token, cookie = csrf_token(request)
        shell = await self._shells.full(request, token)
        if wanted == "fragment":
            html = self.fragment(template, self._block(request, template, block), page=content, shell=shell)
        else:
            html = self.page(template, page=content, shell=shell)
        headers = {**VARY, "Cache-Control": "no-cache, private"}
        return View(
            html.encode(),  # type: ignore[arg-type]
            media_type=HTML,
            headers=headers,
            status_code=status_code,
            cookies=[cookie] if cookie else [],
        )

    def page(self, template: str, *, page: object, shell: Shell, **extra: Any) -> str:
        """A whole page as text."""
        return self.environment.get_template(template).render(
            page=page, shell=shell, csrf_token=shell.csrf_token, **extra
        )

    def fragment(self, template: str, block: str, *, page: object, shell: Shell | None = None, **extra: Any) -> str:
        """One block of a template as text."""
        from jinja2_fragments import render_block

        token = shell.csrf_token if shell else ""
        return render_block(self.environment, template, block, page=page, shell=shell, csrf_token=token, **extra)

    def bare(self, request: Request[Any, Any, Any], template: str, *, signed_in: bool = True, **context: Any) -> str:
        """A page that asks nobody anything, for errors; a template alone, when its name begins with `_`."""
        shell = self._shells.bare(request, signed_in=signed_in)
        return self.environment.get_template(template).render(shell=shell, csrf_token="", **context)

    def _block(self, request: Request[Any, Any, Any], template: str, block: str | None) -> str:
        name = request.headers.get("hx-target", "").replace("-", "_")
        try:
            blocks = self.environment.get_template(template).blocks
        except TemplateNotFound:
            blocks = {}
        return name if name in blocks else block or "main"

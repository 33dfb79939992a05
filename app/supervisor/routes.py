"""The supervisor's routes: the seven of spec §10.1, and what its own page needs beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import anyio
from sse_starlette import ServerSentEvent
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.core.errors import Conflict, DockrevError, InvalidArgument, NotFound, StepUpRequired
from app.core.web.assets import ASK_AGAIN, FOREVER
from app.core.web.languages import LANGUAGES
from app.core.web.sse import event_stream, json_event
from app.settings import project_root
from app.supervisor.answers import (
    HEADERS,
    Handler,
    Templates,
    guarded,
    identity_of,
    is_form,
    json_answer,
    page,
    read_form,
    read_json,
)
from app.supervisor.console import regions, view_of
from app.supervisor.door import Door
from app.supervisor.operations import Supervisor, parse_rollback, parse_start
from app.supervisor.speaking import VARY, came_from, keep
from app.supervisor.state import UpgradeRequest, UpgradeTarget

REPOSITORY: Final = "https://github.com/ivanli-cn/dockrev"
STATIC: Final = frozenset(
    {
        "app.css",
        "icons.svg",
        "js/theme.js",
        "js/times.js",
        "js/words.js",
        "supervisor/console.css",
        "supervisor/console.js",
    }
)
WAIT_SECONDS: Final = 1.0


def routes(base: str) -> list[Route]:
    """All of them, below the base path."""

    def route(path: str, handler: Handler, method: str = "GET", *, public: bool = False) -> Route:
        return Route(base + path, guarded(handler, public=public), methods=[method])

    return [
        route("", console),
        route("/", console),
        route("/health", health),
        route("/version", version),
        route("/favicon.png", favicon, public=True),
        Route(f"{base}/self-upgrade", guarded(_by_method), methods=["GET", "POST"]),
        route("/self-upgrade/rollback", roll_back, "POST"),
        route("/self-upgrade/events", events),
        route("/self-upgrade/view", view),
        route("/rollback", confirm),
        route("/language", language, "POST"),
        route("/static/{name:path}", static),
    ]


def _supervisor(request: Request) -> Supervisor:
    supervisor: Supervisor = request.app.state.supervisor
    return supervisor


# ---- the contract


async def health(request: Request) -> Response:
    """Alive."""
    return json_answer({"ok": True})


async def version(request: Request) -> Response:
    """The supervisor's own version."""
    told = _supervisor(request).settings.effective_version
    return json_answer(
        {"version": told, "repository": REPOSITORY, "developerName": "Dockrev", "developerUrl": REPOSITORY}
    )


async def _by_method(request: Request) -> Response:
    return await (start(request) if request.method == "POST" else state(request))


async def state(request: Request) -> Response:
    """The state of the current and the past operations."""
    return json_answer(_supervisor(request).book.public())


async def start(request: Request) -> Response:
    """Begin an upgrade or a dry run."""
    supervisor = _supervisor(request)
    image, by = supervisor.settings.target_image_repo, identity_of(request).principal
    if not is_form(request):
        wanted, target = parse_start(await read_json(request), image)
        _require_touch(request, wanted, target)
        return json_answer({"opId": await supervisor.start(wanted, target, by)})
    form = await read_form(request)
    body = {
        "target": {"tag": form.get("tag", ""), "digest": form.get("digest") or None},
        "mode": form.get("mode"),
        "rollbackOnFailure": form.get("rollbackOnFailure") == "true",
    }
    try:
        wanted, target = parse_start(body, image)
        _require_touch(request, wanted, target)
        await supervisor.start(wanted, target, by)
    except (InvalidArgument, Conflict, StepUpRequired) as error:
        return _console(request, error, form)
    return _back_to_page(request)


async def roll_back(request: Request) -> Response:
    """Take the current operation back."""
    supervisor, door, by = _supervisor(request), _door(request), identity_of(request).principal
    if not is_form(request):
        op_id = parse_rollback(await read_json(request))
        door.require_touch(request, supervisor.book, back=True, again={})
        await supervisor.roll_back(op_id, by)
        return json_answer({"ok": True})
    form = await read_form(request)
    try:
        op_id = parse_rollback(form)
        door.require_touch(request, supervisor.book, back=True, again={})
        await supervisor.roll_back(op_id, by)
    except (InvalidArgument, Conflict, StepUpRequired) as error:
        return _console(request, error, {})
    return _back_to_page(request)


def _require_touch(request: Request, wanted: UpgradeRequest, target: UpgradeTarget) -> None:
    """A dry run changes nothing and needs none. Raises StepUpRequired."""
    if wanted.mode != "apply":
        return
    again = {"tag": target.tag, "digest": target.digest or "", "back": "1" if wanted.rollback_on_failure else "0"}
    _door(request).require_touch(request, _supervisor(request).book, again=again)


async def favicon(request: Request) -> Response:
    """The only thing shown to anybody."""
    picture = (project_root() / "app" / "supervisor" / "favicon.png").read_bytes()
    return Response(picture, media_type="image/png", headers={**HEADERS, "Cache-Control": "public, max-age=86400"})


# ---- the page


async def console(request: Request) -> Response:
    """The page for people; whoever comes back from a touch finds the form as it was."""
    asked = request.query_params
    if not (tag := asked.get("tag", "")[:128]):
        return _console(request, None, {})
    back = "false" if asked.get("back") == "0" else "true"
    return _console(request, None, {"tag": tag, "digest": asked.get("digest", "")[:80], "rollbackOnFailure": back})


async def confirm(request: Request) -> Response:
    """What a rollback will do, and the button; the dialog of browsers without scripts."""
    return page(request, "rollback.html", view=view_of(_supervisor(request).book))


async def view(request: Request) -> Response:
    """The parts of the page that move, for when there is no stream."""
    supervisor, templates = _supervisor(request), _templates(request)
    answer = json_answer({"revision": supervisor.ledger.revision, "regions": regions(templates, supervisor.book)})
    answer.headers.update(VARY)
    return answer


async def events(request: Request) -> Response:
    """The same as a stream: all at once, then whenever something moves."""
    supervisor, templates = _supervisor(request), _templates(request)

    async def source(closing: anyio.Event) -> AsyncIterator[ServerSentEvent]:
        seen, sent = -1, dict[str, str]()
        while not closing.is_set():
            if not await supervisor.ledger.moved(seen, WAIT_SECONDS):
                continue
            seen = supervisor.ledger.revision
            now = regions(templates, supervisor.book)
            moved = {name: html for name, html in now.items() if sent.get(name) != html}
            if moved:
                sent = now
                yield json_event("view", {"revision": seen, "regions": moved}, seen)

    return event_stream(request, "supervisor", source)


async def language(request: Request) -> Response:
    """Keep the language that was chosen at the foot of a page, and go back to that page."""
    chosen, base = (await read_form(request)).get("language", ""), _supervisor(request).settings.base_path
    if chosen not in LANGUAGES:
        raise InvalidArgument("language is not one of those there are", details={"field": "language"})
    to = came_from(request, (f"{base}/", base, f"{base}/rollback"))
    answer = RedirectResponse(to, 303, headers={**HEADERS, "Cache-Control": "no-store"})
    keep(answer, chosen)
    return answer


async def static(request: Request) -> Response:
    """Sheets and scripts of the page: it must not need Dockrev for them."""
    name, assets = request.path_params["name"], _templates(request).assets
    if name not in STATIC:
        raise NotFound("there is nothing at this address")
    asset = assets.get(name)
    lasting = request.query_params.get("v") == asset.version
    headers = {**HEADERS, "Cache-Control": FOREVER if lasting else ASK_AGAIN, "ETag": f'"{asset.version}"'}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)


def _door(request: Request) -> Door:
    door: Door = request.app.state.door
    return door


def _templates(request: Request) -> Templates:
    templates: Templates = request.app.state.templates
    return templates


def _console(request: Request, error: DockrevError | None, form: dict[str, str]) -> Response:
    supervisor = _supervisor(request)
    selected = request.query_params.get("op", "")
    shown = view_of(supervisor.book, selected)
    return page(
        request,
        "console.html",
        error.status if error else 200,
        view=shown,
        pinned=shown.selected != supervisor.book.op_id,
        error=error,
        touch=error.login if isinstance(error, StepUpRequired) else "",
        form=form,
        user=identity_of(request).user,
        repository=REPOSITORY,
    )


def _back_to_page(request: Request) -> Response:
    return RedirectResponse(f"{_supervisor(request).settings.base_path}/", 303, headers=dict(HEADERS))

"""Every template renders strictly with every kind of model, and says what it should."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from jinja2 import Environment
from jinja2_fragments import render_block

from app.core.jobs.models import JobStatus
from app.features.catalog import schemas as c
from app.features.jobs import schemas as j
from tests.unit.web.pages import base, catalog, overview
from tests.unit.web.pages.cases import CASES, FRAGMENTS, ROOT, environment

ALL = {**CASES, **FRAGMENTS}
VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "wbr", "use", "path", "circle"}


@pytest.fixture(scope="module")
def made() -> Environment:
    return environment()


class Tree(HTMLParser):
    """Open and closed tags, ids and attributes of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.problems: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()}")


def parse(html: str) -> Tree:
    tree = Tree()
    tree.feed(html)
    return tree


@pytest.mark.parametrize("name", ALL)
def test_is_well_formed_and_free_of_inline_code(made: Environment, name: str) -> None:
    tree = parse(ALL[name].render(made))
    assert not tree.problems and not tree.open
    for tag, attributes in tree.tags:
        assert not [key for key in attributes if key.startswith(("on", "hx-on")) or key == "style"], (tag, attributes)
        assert tag != "style"
        assert tag != "script" or attributes.get("src", "").startswith("/static/")
        assert not attributes.get("href", "").lower().strip().startswith(("javascript:", "data:"))
        assert "js:" not in attributes.get("hx-vals", "")
    ids = [attributes["id"] for _, attributes in tree.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) or "hostile" in name


@pytest.mark.parametrize("name", [name for name in ALL if "hostile" in name or name in ("alert", "refused sender")])
def test_hostile_text_is_text(made: Environment, name: str) -> None:
    html = ALL[name].render(made)
    assert "<script>alert" not in html and "script&gt;" in html
    shown = re.sub(r'<input type="(?:hidden|radio)" name="[^"]*"( value="[^"]*")?', "", html)  # sent back as they came
    assert "\x1b" not in shown and "[31m" not in shown and "\u202e" not in shown
    assert "{{7*7}}" in html, "templates in data stay text"
    assert "javascript:" not in html.lower()
    assert len(html) < 100_000, "endless names are cut"


@pytest.mark.parametrize("name", CASES)
def test_has_the_frame_of_a_page(made: Environment, name: str) -> None:
    html = CASES[name].render(made)
    tree = parse(html)
    assert [tag for tag, _ in tree.tags].count("h1") == 1
    assert [tag for tag, _ in tree.tags].count("main") == 1
    assert '<a class="skip" href="#main">' in html and "<title>" in html
    assert html.index("js/theme.js") < html.index("<body"), "the theme is set before the first paint"


@pytest.mark.parametrize("name", CASES)
def test_forms_work_without_scripts_and_carry_the_token(made: Environment, name: str) -> None:
    html = CASES[name].render(made)
    for form in re.findall(r"<form .*?</form>", html, re.S):
        if 'method="post"' not in form:
            assert 'method="get"' in form
            continue
        action = re.search(r'action="([^"]+)"', form)
        assert action
        # the switch of languages changes the whole page, so that it is sent plainly
        assert (f'hx-post="{action[1]}"' in form) == (action[1] != "/language")
        assert '<input type="hidden" name="csrf" value="t0ken-t0ken-t0ken-t0ken">' in form
        assert "<button" in form


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith(("refused", "error", "update"))])
def test_the_fragment_is_the_block_of_the_page(made: Environment, name: str) -> None:
    case = CASES[name]
    fragment = render_block(made, case.template, "page", **base.context(**case.context()))
    assert "<html" not in fragment and "<h1" in fragment
    assert fragment in case.render(made)


@pytest.mark.parametrize("name", ["overview 50", "services 50"])
def test_fifty_services_stay_below_100_kb(made: Environment, name: str) -> None:
    html = CASES[name].render(made)
    assert len(html.encode()) < 100_000
    rows = re.findall(r'<tr role="row" id="r-.*?</tr>', html, re.S)
    assert len(rows) >= 48 and max(len(row) for row in rows) < 1500


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"updatable": 3, "blocked": 2}, "3 updates are ready, 2 are blocked"),
        ({"updatable": 1, "blocked": 1}, "1 update is ready, 1 is blocked"),
        ({"blocked": 1}, "1 update is blocked"),
        ({"hint": 1, "arch_mismatch": 1}, "2 versions need a look"),
        ({"unknown": 38}, "Nothing has been checked yet"),
        ({"ok": 38}, "Everything is up to date"),
    ],
)
def test_the_heading_of_the_overview_is_the_answer(made: Environment, counts: dict[str, int], words: str) -> None:
    page = overview.overview(counts=[c.StateCount(key=key, count=count) for key, count in counts.items()])
    html = made.get_template("overview/overview.html").render(**base.context(page=page))
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", html, re.S)
    assert heading and " ".join(heading[1].split()) == words


def test_an_update_form_sends_exactly_the_targets_shown(made: Environment) -> None:
    plan = catalog.plan(3)
    html = made.get_template("services/_update_dialog.html").render(**base.context(plan=plan))
    sent = [
        json.loads(attributes["value"])
        for tag, attributes in parse(html).tags
        if tag == "input" and attributes.get("name") == "target"
    ]
    assert [item["targetDigest"] for item in sent] == [target.target_digest for target in plan.targets]
    assert sent[0] == {
        "serviceId": plan.targets[0].service_id,
        "targetTag": "2",
        "targetDigest": plan.targets[0].target_digest,
        "pullTags": ["2.1.4"],
    }
    assert 'name="allowArchMismatch"' in html and 'value="inherit" checked' in html


def test_the_architecture_switch_is_shown_only_when_needed(made: Environment) -> None:
    html = made.get_template("services/_update_dialog.html").render(
        **base.context(plan=catalog.plan(2, arch_mismatches=0))
    )
    assert 'name="allowArchMismatch"' not in html


def test_the_service_page_asks_for_the_version_to_be_typed(made: Environment) -> None:
    html = made.get_template("services/service_detail.html").render(**base.context(page=catalog.service_page()))
    form = re.search(r"<form[^>]* data-confirm.*?</form>", html, re.S)
    assert (
        form
        and 'name="mode" value="apply"' in form[0]
        and 'name="target"' in form[0]
        and 'name="backupMode"' in form[0]
    )
    assert 'pattern="2\\u{2e}0\\u{2e}4" ' in form[0] or 'pattern="2\\u{2e}0\\u{2e}4"' in form[0]


def test_a_blocked_service_and_dockrev_itself_have_no_update_button(made: Environment) -> None:
    blocked = catalog.service_page(service=catalog.service(2), plan=None)
    own = catalog.service_page(service=catalog.service(0, is_dockrev=True), self_upgrade_url="/supervisor/")
    for page in (blocked, own):
        html = made.get_template("services/service_detail.html").render(**base.context(page=page))
        assert "data-confirm" not in html and "Apply update" not in html
    assert 'href="/supervisor/"' in html


@pytest.mark.parametrize("candidate", [None, "sha256:" + "c" * 64])
def test_dockrevs_own_row_leads_to_its_supervisor_on_every_list(made: Environment, candidate: str | None) -> None:
    template = '{% from "services/_rows.html" import action_cell %}{{ action_cell(row, url) }}'
    own = catalog.service(0, is_dockrev=True, candidate_digest=candidate)
    cell = made.from_string(template).render(row=own, url="/supervisor/")
    assert '<a class="btn s" href="/supervisor/">Upgrade Dockrev</a>' in cell
    assert "/updates/new" not in cell
    assert "not configured" in made.from_string(template).render(row=own, url="javascript:alert(1)")


def test_a_rolled_back_service_shows_its_evidence(made: Environment) -> None:
    html = CASES["job"].render(made)
    assert "Rollback evidence" in html and "fatal: cannot reach cache:6379" in html and "restarted 2 times" in html
    assert CASES["job ended"].render(made).count("The way back failed too") == 1


def test_times_are_local_in_the_browser_and_absolute_in_the_title(made: Environment) -> None:
    html = CASES["overview"].render(made)
    assert (
        '<time datetime="2026-11-22T14:32:01Z" data-fmt="rel" title="22 Nov 2026, 14:32:01 UTC">7 min ago</time>'
        in html
    )


def test_an_open_or_engineless_dockrev_says_so_on_every_page(made: Environment) -> None:
    for name in ("overview offline", "services offline", "banners"):
        html = ALL[name].render(made)
        assert "Docker engine not reachable" in html and "Open to anyone" in html and "Sandbox" in html
    assert "Docker is not reachable" in CASES["overview offline"].render(made)


def test_a_finished_job_listens_to_no_log(made: Environment) -> None:
    assert 'sse-swap="job_log"' in CASES["job"].render(made)
    assert 'sse-swap="job_log"' not in CASES["job ended"].render(made)


def test_a_track_for_the_stream_finds_its_place(made: Environment) -> None:
    page = CASES["job"].render(made)
    sent = FRAGMENTS["job track"].render(made)
    place = re.search(r'id="(svc-[^"]+)"', sent)
    assert place and f'id="{place[1]}"' in page and 'hx-swap-oob="morph"' in sent and "hx-swap-oob" not in page


def test_state_words_and_signs_cover_every_state(made: Environment) -> None:
    words = made.get_template("ui/words.html").module
    sprite = set(re.findall(r'<symbol id="([\w-]+)"', (ROOT / "static" / "icons.svg").read_text()))
    tables = [words.STATES, words.TRACKS, words.JOBS, words.INFERENCE]  # type: ignore[attr-defined]
    assert set(tables[0]) == {str(state) for state in c.ServiceState}
    assert set(tables[1]) == {str(state) for state in j.TrackState}
    assert set(tables[2]) == {str(state) for state in JobStatus}
    assert set(words.STEPS) == {str(key) for key in j.StepKey}  # type: ignore[attr-defined]
    assert {entry[1] for table in tables for entry in table.values()} <= sprite
    used = {sign for name in ALL for sign in re.findall(r"icons\.svg\?v=\w+#([\w-]+)", ALL[name].render(made))}
    assert used <= sprite, used - sprite

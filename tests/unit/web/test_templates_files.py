"""What the files themselves must hold: vendored hashes, no data of the mock-ups, no addresses of others."""

from __future__ import annotations

import hashlib
import re

import pytest

from app.core.web.assets import OWN as OWN_SCRIPTS
from app.core.web.assets import SCRIPTS, SHEETS, WORKER, Assets
from tests.unit.web.pages.cases import ROOT

VENDORED = (ROOT / "static/vendor/VENDORED.md").read_text()
OWN = [
    path
    for folder in ("templates", "static")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.is_file() and "vendor" not in path.parts and path.suffix in {".html", ".css", ".js", ".svg", ".md"}
]
MOCKUP = re.compile(
    r"immich|gitea|paperless|vaultwarden|jellyfin|grafana|nextcloud|collabora|home-assistant|zigbee|mosquitto|tika\b"
    r"|crowdsec|audiobookshelf|navidrome|esphome|\bmira\b|harbour|atlas\.|homelab-stacks|1842",
    re.IGNORECASE,
)


def test_vendored_files_are_the_published_ones() -> None:
    named = dict(re.findall(r"\| `([^`]+)` \|.*`([0-9a-f]{64})` \|", VENDORED))
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (ROOT / "static/vendor").glob("*.js")}
    assert named == found and len(found) == 3
    axe = hashlib.sha256((ROOT / "e2e/vendor/axe.min.js").read_bytes()).hexdigest()
    assert axe in VENDORED


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_data_of_the_mockups(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    assert not MOCKUP.search(
        text.replace(', "home-assistant")', "")
    )  # a section of the settings, not the service of the mock-up
    assert not re.search(r"/work\b|/tmp/w\b", text)


def test_scripts_need_no_loosened_policy() -> None:
    for path in OWN:
        if path.suffix == ".js":
            text = path.read_text()
            assert not re.search(
                r"\beval\(|new Function|innerHTML\s*=|outerHTML\s*=|insertAdjacentHTML|document\.write|\.style\.", text
            ), path


def test_the_bundles_hold_everything_and_are_small() -> None:
    static = ROOT / "static"
    assert set(SHEETS) == {path.relative_to(static).as_posix() for path in (static / "css").rglob("*.css")}
    scripts = {path.relative_to(static).as_posix() for path in static.rglob("*.js")}
    alone = {"js/theme.js", "js/push.js", "js/offline.js", "js/passkeys.js", "supervisor/console.js", "sw.js"}
    assert set(SCRIPTS) | set(WORKER) | alone == scripts
    assets = Assets(static)
    assert len(assets.get("app.css").content) + len(assets.get("app.js").content) < 150_000
    base = (ROOT / "templates/base.html").read_text()
    assert re.findall(r"asset\('([\w./]+\.(?:css|js))'\)", base) == ["app.css", "js/theme.js", "app.js", "stream.js"]


def test_scripts_are_sent_without_what_is_for_people() -> None:
    """Which is safe as long as no text in them has more than one line."""
    sent = Assets(ROOT / "static").get("app.js").content.decode()
    assert "What htmx's sse extension gets" not in sent and "\n  " not in sent.replace("\r", "")
    assert "class LiveSource {\nstatic" in sent or "class LiveSource {\n#address" in sent
    for name in OWN_SCRIPTS:
        for number, line in enumerate((ROOT / "static" / name).read_text().splitlines(), 1):
            assert line.count("`") % 2 == 0, f"{name}:{number} begins a text that goes on in the next line"


def test_htmx_is_told_to_evaluate_nothing() -> None:
    base = (ROOT / "templates/base.html").read_text()
    assert '"allowEval":false' in base and '"includeIndicatorStyles":false' in base

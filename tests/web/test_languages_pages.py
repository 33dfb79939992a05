"""No English is left on pages in another language: nothing shown is a text that there is a translation of.

To have a page held to it, add its address to ADDRESSES.
"""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from app.core.db import Database
from app.core.web.languages import COOKIE, TAGS
from app.features.stacks.models import ProjectRow, ProjectStatus
from app.features.versions.models import IgnoreRule
from tests.web.test_pages import BROWSER
from tests.web.test_updates_api import APP, DB, FAR, NOW, OTHER, OWN, STACK, WEB, Api, api

__all__ = ["api"]
PO = Path(__file__).resolve().parents[2] / "app/languages"
ADDRESSES = [
    "/", "/?state=all", "/?state=blocked", "/?q=nothing-is-called-so", "/checks/new", "/services",
    "/services?q=wob", "/services?archived=1", f"/services/{STACK}/{WEB}", f"/services/{STACK}/{APP}",
    f"/services/{STACK}/{DB}", f"/services/{STACK}/{OWN}", f"/services/{OTHER}/{FAR}",
    f"/services/{STACK}/{WEB}/ignores/preview?kind=prefix&value=1",
    f"/services/{STACK}/{WEB}/ignores/preview?kind=semver&value=x", f"/stacks/{STACK}", "/version-inference",
    "/updates/new?scope=all", f"/updates/new?scope=service&serviceId={WEB}",
    f"/updates/new?scope=service&serviceId={APP}", "/deploy-check", "/settings", "/settings/audit", "/queue",
    "/settings/ghcr-webhooks", "/settings/ghcr-webhooks/add?input=%24", "/settings/webhook-secrets",
    "/queue/ghcr-webhooks", "/queue/ghcr-webhook-inbox", "/reference",
]  # fmt: skip
SPOKEN = ("aria-label", "title", "placeholder", "alt", "data-l")
VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr", "use"}


class Shown(HTMLParser):
    """The texts of a page and of its attributes that are read out, but for what says that it is in English and code."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[tuple[str, bool]] = []

    @property
    def _left_out(self) -> bool:
        return any(out for _, out in self._open)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        out = tag in ("script", "style", "code", "pre", "kbd") or (tag != "html" and given.get("lang") is not None)
        if not out and not self._left_out:
            self.texts += [value for name in SPOKEN if (value := given.get(name))]
        if tag not in VOID:
            self._open.append((tag, out))

    def handle_endtag(self, tag: str) -> None:
        for at in range(len(self._open) - 1, -1, -1):
            if self._open[at][0] == tag:
                del self._open[at:]
                return

    def handle_data(self, data: str) -> None:
        if not self._left_out and data.strip():
            self.texts.append(" ".join(data.split()))


@cache
def english(language: str) -> tuple[frozenset[str], re.Pattern[str]]:
    """Every text that this language says otherwise: those that are whole, and a pattern of those with values.

    A text with markup is seen on a page in pieces; each piece of some words counts as a text. Said in the language
    itself by another text ("Name", "Container", "Start") it is no English.
    """
    texts: set[str] = set()
    own: set[str] = set()
    for file in (PO / language).glob("*.po"):
        with file.open("rb") as content:
            for message in read_po(content, locale=language):
                if not message.id or message.context == "js":
                    continue
                ids = message.id if isinstance(message.id, tuple) else (message.id,)
                said = message.string if isinstance(message.string, tuple | list) else (message.string,)
                texts |= {piece for text in ids for piece in pieces(str(text))}
                own |= {piece for text in said for piece in pieces(str(text))}
    left = texts - own
    holes = [text for text in left if "%(" in text and len(re.findall(r"[A-Za-z]{2,}", hollow(text))) >= 2]
    parts = [
        "".join(".{1,200}?" if at % 2 else re.escape(part) for at, part in enumerate(split(text))) for text in holes
    ]
    return frozenset(text.replace("%%", "%") for text in left if "%(" not in text), re.compile(
        "|".join(parts) or r"(?!)"
    )


def split(text: str) -> list[str]:
    return re.split(r"(%\(\w+\)s)", text.replace("%%", "%"))


def hollow(text: str) -> str:
    return re.sub(r"%\(\w+\)s", " ", text)


def pieces(text: str) -> list[str]:
    """What stands between the tags of a text, without the signs at its ends; one word alone only if it is all."""
    found = [" ".join(part.split()).strip(" .,:;") for part in re.split(r"<[^<>]+>", text)]
    return [part for part in found if part and (len(found) == 1 or " " in hollow(part).strip())]


def left_english(html: str, language: str) -> list[str]:
    """What is shown of a page although the language has other words for it."""
    page = Shown()
    page.feed(html)
    whole, holed = english(language)
    shown = {text.strip(" .,:;") for text in page.texts}
    return sorted(text for text in shown if text in whole or holed.fullmatch(text))


@pytest.fixture
async def full(api: Api) -> Api:
    """The two stacks with what rows can say: held by a rule, for another host, failed; and projects in trouble."""
    async with api.container.get(Database).transaction() as session:
        session.add(
            IgnoreRule(
                id="ign_1", scope_service_id=DB, match_kind="exact", match_value="1", enabled=True, created_at=NOW,
                updated_at=NOW,
            )
        )  # fmt: skip
        for name, status, error, hint in (
            ("lost", ProjectStatus.MISSING, None, None),
            ("odd", ProjectStatus.INVALID, "compose_file_unreadable: /srv/odd.yml", "Does the file still exist?"),
        ):
            session.add(ProjectRow(project=name, status=status, last_error=error, last_error_hint=hint))
    await api.set(DB, ignore_rule_id="ign_1", ignore_reason="matched")
    await api.set(FAR, candidate_arch_match="mismatch", candidate_arch=["linux/arm64"])
    await api.set(APP, last_error="the registry did not answer")
    await api.set(WEB, current_resolved_tag="1.4.2", candidate_resolved_tag="1.4.3")
    return api


@pytest.mark.parametrize("language", ["de", "zh"])
async def test_no_english_is_left(full: Api, language: str) -> None:
    headers = {**BROWSER, "cookie": f"{COOKIE}={language}"}
    left: dict[str, list[str]] = {}
    for address in ADDRESSES:
        page = await full.client.get(address, headers=headers)
        assert page.status_code == 200, f"{address}: {page.text[:300]}"
        assert f'<html lang="{TAGS[language]}"' in page.text
        if found := left_english(page.text, language):
            left[address] = found
    assert not left, left


@pytest.mark.parametrize("language", ["de", "zh"])
async def test_the_look_for_english_finds_some(full: Api, language: str) -> None:
    """On the same pages in English it finds plenty, in texts, in texts with values, and in attributes."""
    for address in ("/", "/services", f"/services/{STACK}/{WEB}"):
        page = await full.client.get(address, headers=BROWSER)
        found = left_english(page.text, language)
        assert len(found) > 15, found
        assert {"Filter by state"} <= set(found) or address.count("/") > 2
    assert any(
        text.startswith("Update all (")
        for text in left_english((await full.client.get("/", headers=BROWSER)).text, language)
    )

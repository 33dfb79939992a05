"""Where the machine's own Debian archive is, read from its apt sources at run time.

Both formats count: one line per source (`sources.list`, `*.list`) and deb822 (`*.sources`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabUnavailable

_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<rest>.+)$")


@dataclass(frozen=True)
class Archive:
    """A source of packages: its address, its suites and how apt is to verify it."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str | None = None
    trusted: bool = False

    def line(self, suite: str) -> str:
        """The one-line source for `main` of another suite of the same archive."""
        options = []
        if self.signed_by:
            options.append(f"signed-by={self.signed_by}")
        if self.trusted:
            options.append("trusted=yes")
        shown = f"[{' '.join(options)}] " if options else ""
        return f"deb {shown}{self.uri} {suite} main\n"


def parse_one_line(text: str) -> Iterator[Archive]:
    """Sources in the classic format; comments and `deb-src` are left out."""
    for raw in text.splitlines():
        match = _ONE_LINE.match(raw.split("#", 1)[0].strip())
        if not match:
            continue
        options = dict(item.split("=", 1) for item in (match["options"] or "").split() if "=" in item)
        yield Archive(
            uri=match["uri"],
            suites=(match["suite"],),
            components=tuple(match["rest"].split()),
            signed_by=options.get("signed-by"),
            trusted=options.get("trusted") == "yes",
        )


def parse_deb822(text: str) -> Iterator[Archive]:
    """Sources in the deb822 format; disabled paragraphs are left out."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        name = ""
        for line in paragraph.splitlines():
            if line[:1] in (" ", "\t"):
                fields[name] = fields.get(name, "") + " " + line.strip()
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        key = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            yield Archive(
                uri=uri,
                suites=tuple(fields.get("suites", "").split()),
                components=tuple(fields.get("components", "").split()),
                # A key written into the file itself can't be named on a line; apt's own keys do then.
                signed_by=key if key.startswith("/") else None,
                trusted=fields.get("trusted") == "yes",
            )


def machine_codename(os_release: Path = Path("/etc/os-release")) -> str:
    """The suite this machine runs, for instance `bookworm`."""
    try:
        text = os_release.read_text()
    except OSError as error:
        raise LabUnavailable("this is not a Debian machine (no /etc/os-release)") from error
    match = re.search(r'^VERSION_CODENAME="?([a-z]+)"?$', text, re.MULTILINE)
    if not match:
        raise LabUnavailable("the machine's Debian suite is unknown (no VERSION_CODENAME in /etc/os-release)")
    return match[1]


def find_archive(codename: str, etc_apt: Path = Path("/etc/apt")) -> Archive:
    """The source that gives this machine its own suite.

    Raises `LabUnavailable` when apt has no such source.
    """
    parts = etc_apt / "sources.list.d"
    found: list[Archive] = []
    for path in [etc_apt / "sources.list", *sorted(parts.glob("*.list"))]:
        if path.is_file():
            found.extend(parse_one_line(path.read_text(errors="replace")))
    for path in sorted(parts.glob("*.sources")):
        found.extend(parse_deb822(path.read_text(errors="replace")))
    for archive in found:
        if codename in archive.suites and "main" in archive.components:
            return archive
    raise LabUnavailable(f"apt has no source for {codename} main, so the engine's packages can't be fetched")

"""Finding the machine's archive in both formats of apt's sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.archive import Archive, find_archive, machine_codename, parse_deb822, parse_one_line
from tests.lab.errors import LabUnavailable
from tests.lab.lab import Lab
from tests.lab.packages import obtain

ONE_LINE = """\
# deb http://old.example.org/debian bookworm main
deb-src http://mirror.example.org/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] http://mirror.example.org/debian bookworm main contrib # ours
deb http://mirror.example.org/debian bookworm-updates main
"""

DEB822 = """\
Types: deb
Enabled: no
URIs: http://off.example.org/debian
Suites: bookworm
Components: main

Types: deb deb-src
# a comment in between
URIs: http://mirror.example.org/debian
Suites: bookworm
 bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/k.gpg
"""


def test_one_line_sources() -> None:
    first, second = parse_one_line(ONE_LINE)
    assert first == Archive(
        "http://mirror.example.org/debian", ("bookworm",), ("main", "contrib"), "/usr/share/keyrings/k.gpg"
    )
    assert second.suites == ("bookworm-updates",)


def test_deb822_sources_skip_disabled_paragraphs() -> None:
    (only,) = parse_deb822(DEB822)
    assert only.uri == "http://mirror.example.org/debian"
    assert only.suites == ("bookworm", "bookworm-updates")
    assert only.line("sid") == "deb [signed-by=/usr/share/keyrings/k.gpg] http://mirror.example.org/debian sid main\n"


def test_a_key_inside_the_sources_is_not_put_on_a_line() -> None:
    (only,) = parse_deb822(
        "Types: deb\nURIs: http://m.example.org\nSuites: bookworm\nComponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n"
    )
    assert only.line("sid") == "deb http://m.example.org sid main\n"


def test_the_archive_is_found_in_either_place(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    with pytest.raises(LabUnavailable, match="no source for bookworm"):
        find_archive("bookworm", tmp_path)
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    assert find_archive("bookworm", tmp_path).uri == "http://mirror.example.org/debian"
    (tmp_path / "sources.list").write_text("deb http://first.example.org/debian bookworm main\n")
    assert find_archive("bookworm", tmp_path).uri == "http://first.example.org/debian"


def test_a_machine_that_is_not_debian(tmp_path: Path) -> None:
    with pytest.raises(LabUnavailable, match="not a Debian machine"):
        machine_codename(tmp_path / "os-release")
    (tmp_path / "os-release").write_text('NAME="Something"\n')
    with pytest.raises(LabUnavailable, match="suite is unknown"):
        machine_codename(tmp_path / "os-release")


def test_the_lab_says_why_it_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LabUnavailable, match="needs root"):
        Lab("debian").start()
    monkeypatch.setenv("DOCKREV_LAB_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabUnavailable, match="needs Debian's apt-get"):
        obtain("debian")
    (tmp_path / "file").touch()
    monkeypatch.setenv("DOCKREV_LAB_DIR", str(tmp_path / "file/cache"))
    with pytest.raises(LabUnavailable, match="cache folder can't be made"):
        obtain("debian")
    monkeypatch.setenv("DOCKREV_LAB_ENGINE", "podman")
    with pytest.raises(LabUnavailable, match="must be debian, new or host"):
        Lab()

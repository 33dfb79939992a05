"""Names, the temporary override, the staged logins."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from app.adapters.compose import (
    ComposeFileUnreadable,
    ComposeInvalidName,
    is_generated_override,
    is_image_only,
    override_file,
    override_text,
    parse_config_files_label,
    read_model,
    staged_docker_config,
)
from app.adapters.compose.names import file_path, image_name, project_name, service_name

HOSTILE = [
    "",
    "-x",
    "--file=/etc/shadow",
    "a b",
    "a\nb",
    "a;b",
    "$(x)",
    "a/b",
    "../x",
    "\x1b[31m",
    "a" * 1_000_000,
    "ä",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(name: str) -> None:
    for check in (service_name, project_name):
        with pytest.raises(ComposeInvalidName) as caught:
            check(name)
        assert len(caught.value.message) < 600
        assert "\x1b" not in caught.value.message


@pytest.mark.parametrize("name", ["", "-x", "a b", "a\nb", "x: y", '"', "\x1b[31m", "a" * 1_000])
def test_hostile_images_are_refused(name: str) -> None:
    with pytest.raises(ComposeInvalidName):
        image_name(name)
    with pytest.raises(ComposeInvalidName):
        override_text({"web": name})


@pytest.mark.parametrize("path", ["relative.yml", "-f", "", "/a\0b", "/" + "x" * 9_000])
def test_impossible_paths_are_refused(path: str) -> None:
    with pytest.raises(ComposeFileUnreadable):
        file_path(Path(path))


def test_usual_names_pass() -> None:
    assert service_name("web_1.x-y") == "web_1.x-y"
    assert project_name("My-Project_2") == "My-Project_2"
    assert image_name("r.example:5000/a/b@sha256:00") == "r.example:5000/a/b@sha256:00"


async def test_the_override_sets_images_only_and_goes_away(tmp_path: Path) -> None:
    images = {"web": "r.example/a@sha256:00", "on": "b:1", "123": "c:2"}
    async with override_file(images, folder=tmp_path) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert is_image_only(path)
        assert {s.name: s.image for s in read_model([path]).services.values()} == images
    assert not path.exists()


async def test_the_override_goes_away_after_a_failure() -> None:
    with pytest.raises(RuntimeError):
        async with override_file({"web": "a:1"}) as path:
            assert is_generated_override(path)
            raise RuntimeError
    assert not path.exists()


@pytest.mark.parametrize(
    ("path", "generated"),
    [
        ("/tmp/dockrev-override-0123abcd.yml", True),
        ("/srv/dockrev/data/supervisor/self-upgrade.override.yml", True),
        ("/tmp/dockrev-override-../../etc/passwd.yml", False),
        ("/tmp/dockrev-override-.yml", False),
        ("/tmp/other.yml", False),
        ("/srv/tmp/dockrev-override-1.yml", False),
        ("/srv/self-upgrade.override.yml/compose.yml", False),
    ],
)
def test_generated_overrides_are_recognised(path: str, generated: bool) -> None:
    assert is_generated_override(path) is generated


@pytest.mark.parametrize(
    ("label", "files"),
    [
        ("/a.yml", ("/a.yml",)),
        (" /a.yml , /b.yml\n/c.yml,,/a.yml\n", ("/a.yml", "/b.yml", "/c.yml")),
        ("", ()),
        (" ,\n ", ()),
    ],
)
def test_config_files_label(label: str, files: tuple[str, ...]) -> None:
    assert parse_config_files_label(label) == files


def test_a_label_of_megabytes_is_bounded() -> None:
    assert len(parse_config_files_label(",".join(f"/{i}" for i in range(300_000)))) == 100


async def test_logins_are_staged_with_the_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, own, home = tmp_path / "beside", tmp_path / "own", tmp_path / "home"
    for folder, plugin in ((beside, "docker-compose"), (own, "docker-compose"), (home / ".docker", "docker-buildx")):
        (folder / "cli-plugins").mkdir(parents=True)
        (folder / "cli-plugins" / plugin).write_text(folder.name)
    monkeypatch.setenv("DOCKER_CONFIG", str(own))
    monkeypatch.setenv("HOME", str(home))
    config = beside / "config.json"
    config.write_text('{"auths": {"r.example": {"auth": "eA=="}}}')
    async with staged_docker_config(config) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "config.json").stat().st_mode) == 0o600
        assert "r.example" in json.loads((folder / "config.json").read_text())["auths"]
        assert (folder / "cli-plugins/docker-compose").read_text() == "beside"
        assert (folder / "cli-plugins/docker-buildx").read_text() == ".docker"
    assert not folder.exists()
    assert (beside / "cli-plugins/docker-compose").exists(), "only the link may go"


@pytest.mark.parametrize("content", [None, "no json", "[]", "x" * 2_000_000])
async def test_unusable_logins_mean_none(tmp_path: Path, content: str | None, caplog: pytest.LogCaptureFixture) -> None:
    config = tmp_path / "config.json"
    if content is not None:
        config.write_text(content)
    async with staged_docker_config(config) as folder:
        assert json.loads((folder / "config.json").read_text()) == {}
    assert str(config) in caplog.text

"""The model, from files and from the CLI's output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.adapters.compose import (
    ComposeFileInvalid,
    ComposeFileUnreadable,
    ComposeModel,
    VolumeMount,
    model_from_config,
    read_model,
)


@pytest.fixture(autouse=True)
def _foreign_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAG", "from-the-process")


def read(folder: Path, *texts: str, **others: str) -> ComposeModel:
    files = []
    for number, text in enumerate(texts):
        file = folder / f"compose.{number}.yaml"
        file.write_text(text)
        files.append(file)
    for name, text in others.items():
        (folder / name.replace("_", ".")).write_text(text)
    return read_model(files)


def test_one_file(tmp_path: Path) -> None:
    model = read(
        tmp_path,
        """
        name: news
        services:
          web:
            image: r.example/web:${TAG:-1}
            container_name: the-web
            depends_on: {db: {condition: service_healthy, restart: true}, cache: {restart: false}}
            volumes:
              - data:/data
              - ./conf:/etc/web:ro,z
              - ../up/../shared:/shared
              - /abs:/abs
              - ~/home:/home
              - /anonymous
              - {type: tmpfs, target: /run}
              - {type: bind, source: ./long, target: /long, read_only: true}
              - {type: volume, source: data, target: /data2}
            healthcheck: {test: [CMD, "true"]}
          db: {build: ., image: " db:2 ", network_mode: "service:web", depends_on: [web], profiles: [a, b]}
          built: {build: .}
          quiet: {image: q, healthcheck: {disable: true}}
          none: {image: q, healthcheck: {test: NONE}}
        volumes:
          data:
          named: {name: real-name}
          outside: {external: true}
          old: {external: {name: older}}
        """,
    )
    web, base = model.services["web"], str(tmp_path)
    assert web.image == "r.example/web:1"
    assert web.container_name == "the-web"
    assert web.depends_on == {"db": "service_healthy", "cache": "service_started"}
    assert web.restarts_after == ("db",)
    assert web.volumes == (
        VolumeMount("volume", "data", "/data"),
        VolumeMount("bind", f"{base}/conf", "/etc/web", read_only=True),
        VolumeMount("bind", f"{tmp_path.parent}/shared", "/shared"),
        VolumeMount("bind", "/abs", "/abs"),
        VolumeMount("bind", "~/home", "/home"),
        VolumeMount("volume", "", "/anonymous"),
        VolumeMount("tmpfs", "", "/run"),
        VolumeMount("bind", f"{base}/long", "/long", read_only=True),
        VolumeMount("volume", "data", "/data2"),
    )
    db = model.services["db"]
    assert (db.image, db.build, db.network_mode, db.profiles) == ("db:2", True, "service:web", ("a", "b"))
    assert db.depends_on == {"web": "service_started"}
    assert (model.services["built"].image, model.services["built"].build) == (None, True)
    health = {name: spec.healthcheck for name, spec in model.services.items()}
    assert health == {"web": "own", "db": "", "built": "", "quiet": "off", "none": "off"}
    assert (model.name, model.complete) == ("news", True)
    names = {key: model.volume_name(key, "p") for key in model.volumes}
    assert names == {"data": "p_data", "named": "real-name", "outside": "outside", "old": "older"}


def test_later_files_win(tmp_path: Path) -> None:
    model = read(
        tmp_path,
        """
        services:
          web: {image: "a:1", volumes: ["x:/x", "y:/y"], depends_on: [db], profiles: [p], network_mode: host}
          job: {image: "a:1", depends_on: {db: {restart: true}, web: {restart: true}}}
          db: {image: "db:1", volumes: ["old:/old"], profiles: [p]}
        """,
        """
        services:
          web:
            image: a:2
            volumes: ["z:/y"]
            depends_on: {db: {condition: service_healthy}, extra: {}}
            profiles: [q, p]
            network_mode:
          job: {depends_on: {db: {condition: service_healthy}, web: {restart: false}}}
          db: {volumes: !override ["new:/new"], profiles: !reset []}
          extra: {image: "e:1"}
        """,
    )
    web = model.services["web"]
    assert (web.image, web.network_mode, web.profiles) == ("a:2", "host", ("p", "q"))
    assert web.depends_on == {"db": "service_healthy", "extra": "service_started"}
    assert {m.target: m.source for m in web.volumes} == {"/x": "x", "/y": "z"}
    assert [m.target for m in model.services["db"].volumes] == ["/new"]
    assert model.services["db"].profiles == ()
    job = model.services["job"]
    assert (job.depends_on, job.restarts_after) == ({"db": "service_healthy", "web": "service_started"}, ("db",))
    assert list(model.services) == ["web", "job", "db", "extra"]


def test_documents_of_one_file_are_merged_too(tmp_path: Path) -> None:
    model = read(tmp_path, "services: {web: {image: a}}\n---\nservices: {web: {image: b}}\n---\n")
    assert model.services["web"].image == "b"


def test_variables_come_from_the_env_file_alone(tmp_path: Path) -> None:
    text = "services: {web: {image: 'a:${TAG:-none}'}}"
    assert read(tmp_path, text).services["web"].image == "a:none"
    assert read(tmp_path, text, _env="TAG=beside").services["web"].image == "a:beside"
    other = tmp_path / "other.env"
    other.write_text("TAG=given")
    model = read_model([tmp_path / "compose.0.yaml"], [other])
    assert model.services["web"].image == "a:given"
    with pytest.raises(ComposeFileUnreadable):
        read_model([tmp_path / "compose.0.yaml"], [tmp_path / "missing.env"])


def test_what_only_the_cli_knows_is_said(tmp_path: Path) -> None:
    assert not read(tmp_path, "include: [x.yaml]\nservices: {web: {image: a}}").complete
    assert not read(tmp_path, "services: {web: {extends: {service: x}}}").complete


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "text",
        "services: []",
        "services: {web: text}",
        "services: {web: {image: '${TAG:?is needed}'}}",
        "services: {web: {image: '${TAG'}}",
    ],
)
def test_what_is_no_compose_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ComposeFileInvalid) as caught:
        read(tmp_path, text)
    assert caught.value.path.name == "compose.0.yaml"


def test_unrelated_variables_do_not_matter(tmp_path: Path) -> None:
    model = read(tmp_path, "services: {web: {image: a, environment: {X: '${SECRET:?}'}}}\nx-y: '${'")
    assert model.services["web"].image == "a"


@pytest.mark.parametrize("text", ["", "services:", "services: {}", "version: '3'"])
def test_nothing_in_it(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).services == {}


@pytest.mark.parametrize(
    "fields",
    ["volumes: [[1], 2, '', ':', 'a:', {source: x}]", "depends_on: 3", "depends_on: {a: 3}", "profiles: {a: 1}",
     "healthcheck: 3", "network_mode: [x]", "image: {a: 1}", "image: true", "build: null"],
)  # fmt: skip
def test_wrong_types_are_nothing(tmp_path: Path, fields: str) -> None:
    assert "web" in read(tmp_path, f"services: {{web: {{{fields}}}}}\nvolumes: {{a: 3, b: [x]}}").services


def test_the_clis_model() -> None:
    config: dict[str, Any] = {
        "name": "news",
        "services": {
            "web": {
                "image": "a:1",
                "depends_on": {"db": {"condition": "service_healthy", "required": True}},
                "volumes": [{"type": "volume", "source": "data", "target": "/d", "volume": {}}],
                "network_mode": "container:x",
                "healthcheck": {"test": ["NONE"]},
            }
        },
        "volumes": {"data": {"name": "news_data"}},
    }
    model = model_from_config(config)
    web = model.services["web"]
    assert (web.image, web.network_mode, web.healthcheck) == ("a:1", "container:x", "off")
    assert web.depends_on == {"db": "service_healthy"}
    assert web.volumes == (VolumeMount("volume", "data", "/d"),)
    assert (model.name, model.volume_name("data", "ignored")) == ("news", "news_data")
    assert model_from_config({"services": None, "volumes": []}).services == {}

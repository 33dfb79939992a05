"""The OpenAPI document: version 3.1, every operation named, described, with an example that fits its model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from app.api_examples import ANSWERS, REQUESTS
from app.main import create_app
from app.settings import Settings


@pytest.fixture
async def document(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    app = create_app(Settings(db_path=tmp_path / "d.sqlite3", auth_allow_anonymous_in_dev="any"))
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/schema")
        assert answer.status_code == 200
        assert (await client.get("/schema/openapi.json")).json() == answer.json()
        yield answer.json()


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for item in document["paths"].values() for operation in item.values()]


async def test_it_is_complete(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    names = [operation["operationId"] for operation in operations(document)]
    assert len(names) == len(set(names))
    for operation in operations(document):
        assert operation["summary"], operation["operationId"]
        assert operation["description"], operation["operationId"]
        if operation["operationId"] not in ("health", "version"):
            assert "401" in operation["responses"], operation["operationId"]
        for code in ("400", "401", "404", "409"):
            if code in operation["responses"] and operation["operationId"] != "registerStack":
                schema = operation["responses"][code]["content"]["application/json"]["schema"]
                assert schema["$ref"].endswith("ErrorOut"), operation["operationId"]


async def test_every_json_operation_has_an_example_that_fits(document: dict[str, Any]) -> None:
    seen = set()
    for path, item in document["paths"].items():
        for operation in item.values():
            name = operation["operationId"]
            success = operation["responses"].get("200") or operation["responses"].get("202") or {}
            content = success.get("content", {}).get("application/json")
            if (
                path.startswith("/api/")
                and content
                and name not in ("listBackups", "restoreBackup", "getVersionInferenceOverview")
            ):
                assert "example" in content, name
            for part in (content, operation.get("requestBody", {}).get("content", {}).get("application/json")):
                if part and "example" in part:
                    schema = {**part["schema"], "components": document["components"]}
                    jsonschema_rs.validate(schema, part["example"])
                    seen.add(name)
    assert seen == set(ANSWERS) | set(REQUESTS)

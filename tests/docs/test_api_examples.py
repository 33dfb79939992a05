"""The curl lines about tokens in docs/api.md, run as they stand there against a real server."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import httpx
import pytest

from app.features.access.models import Scope
from tests.web.test_server import Server

PROJECT = Path(__file__).resolve().parents[2]


def lines() -> list[str]:
    text = (PROJECT / "docs/api.md").read_text(encoding="utf-8")
    section = text.partition("\n## Tokens\n")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block
    return [line for line in block[1].splitlines() if line.startswith("curl ")]


def ask(line: str, client: httpx.Client, known: dict[str, str]) -> httpx.Response:
    """What curl would do; an option that is not known here fails the test."""
    for name, value in sorted(known.items(), key=lambda pair: -len(pair[0])):
        line = line.replace(f"${name}", value)
    words = shlex.split(line)[1:]
    method, headers, body, address = "", {}, None, ""
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(":")
            headers[name] = value.strip()
        elif word == "-d":
            body = words.pop(0)
        elif word == "-o":
            words.pop(0)
        else:
            assert word.startswith("http://") and not address, line
            address = word
    return client.request(method or ("POST" if body else "GET"), address, headers=headers, content=body)


@pytest.mark.timeout(120)
def test_the_examples_about_tokens_work_as_they_stand(tmp_path: Path) -> None:
    server = Server(tmp_path)
    try:
        server.wait()
        known = {"D": server.url}
        answers = []
        with httpx.Client(timeout=20) as client:
            for line in lines():
                answers.append((line, answer := ask(line, client, known)))
                assert answer.status_code == 200, (line, answer.text)
                if line.startswith("curl -X POST $D/api/tokens"):
                    known |= {"TOKEN": answer.json()["value"], "TOKEN_ID": answer.json()["token"]["id"]}
            [listed] = client.get(f"{server.url}/api/tokens").json()["tokens"]
    finally:
        server.stop()
    assert listed["state"] == "revoked" and listed["lastUsedAt"]
    jobs = next(answer for line, answer in answers if "/api/jobs" in line)
    assert jobs.json()["jobs"][0]["createdBy"] == "token:night shift"
    audited = next(answer for line, answer in answers if "/api/audit?" in line)
    assert {event["action"] for event in audited.json()["events"]} == {"token.create", "token.revoke"}
    exported = next(answer for line, answer in answers if "/export" in line)
    assert exported.text.startswith("id,at,principal,means,") and "night shift" in exported.text
    assert known["TOKEN"] not in json.dumps(
        [answer.text for line, answer in answers if "POST $D/api/tokens" not in line]
    )


def test_every_scope_is_explained() -> None:
    text = (PROJECT / "docs/api.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z]+)` \| ", text.partition("\n## Tokens\n")[2], re.MULTILINE) == list(Scope)

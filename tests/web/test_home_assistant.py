"""The page of Home Assistant on the whole application: not there without a broker, and nothing secret with one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.web.test_contract import running
from tests.web.test_pages import BROWSER

HERE = "/settings/home-assistant"
URL = "mqtt://alice:s3cret-w0rd@127.0.0.1:1"
PROGRAM = """
import sys
from pathlib import Path
from app.main import build_container
from app.settings import Settings
build_container(Settings(db_path=Path(sys.argv[1])))
assert not {"aiomqtt", "paho"} & set(sys.modules), "loaded without a broker"
"""


async def test_without_a_broker_there_is_nothing_of_it(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        assert (await client.get(HERE)).status_code == 404
        assert HERE not in (await client.get("/settings", headers=BROWSER)).text
        assert "dockrev_mqtt_connected{" not in (await client.get("/metrics")).text
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "other.sqlite3")]
    subprocess.run(command, check=True, timeout=60)


async def test_the_page_tells_of_the_broker_and_of_no_secret(tmp_path: Path) -> None:
    async with running(tmp_path, mqtt_url=URL, mqtt_install=True) as (_, client):
        page = await client.get(HERE, headers=BROWSER)
        told = (await client.get(HERE)).json()
        metrics = (await client.get("/metrics")).text
        settings = (await client.get("/settings", headers=BROWSER)).text
    assert page.status_code == 200 and "mqtt://127.0.0.1:1" in page.text and "Not connected" in page.text
    assert (told["broker"], told["connected"], told["install"]) == ("mqtt://127.0.0.1:1", False, True)
    assert 'dockrev_mqtt_connected{broker="mqtt://127.0.0.1:1"} 0.0' in metrics
    assert HERE in settings
    for text in (page.text, str(told), metrics, settings):
        assert "s3cret" not in text and "alice" not in text

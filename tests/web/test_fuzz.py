"""Schemathesis asks everything the OpenAPI document promises, rightly and wrongly: no 5xx, nothing undocumented."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.web.test_server import Server

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.timeout(300)
def test_every_answer_is_one_that_the_document_names(tmp_path: Path) -> None:
    server = Server(tmp_path, DOCKREV_WEBHOOK_SECRET="s3cret", DOCKREV_LOG_LEVEL="error")
    try:
        server.wait()
        run = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/schema/openapi.json"),
                *("--checks", CHECKS, "--exclude-path-regex", "events$"),  # streams do not end
                *("--phases", "examples,coverage,fuzzing", "--max-examples", "6", "--max-time", "60"),
                *("--generation-deterministic", "--no-shrink", "--continue-on-failure"),
                *("--workers", "1", "--request-timeout", "20", "--no-color", "--warnings", "off"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    finally:
        code, said = server.stop()
    assert run.returncode == 0, run.stdout[-20000:] + run.stderr[-2000:]
    assert code == 0 and "Traceback" not in said, said[-3000:]

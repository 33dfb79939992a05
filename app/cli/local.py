"""Without a running Dockrev: run one for the length of a command, on a private socket."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.cli.client import Client
from app.cli.exits import Exit, Failure
from app.cli.lock import DatabaseLock

START_SECONDS: Final = 30.0


@contextmanager
def local_dockrev(user: str) -> Iterator[Client]:
    """The API of a Dockrev of our own, gone when the block ends.

    Only its owner reaches the socket, so whoever runs the command counts as allowed. Raises Failure when the settings
    are wrong (2), the database cannot be used (3) or another Dockrev works on it (4).
    """
    from app.cli.starting import load, prepare_database

    settings = load()
    settings = settings.model_copy(
        update={"auth_allowed_user": None, "auth_allowed_group": None, "auth_allow_anonymous_in_dev": "loopback"}
    )
    with DatabaseLock(settings.db_path), tempfile.TemporaryDirectory(prefix="dockrev-") as folder:
        import uvicorn

        from app.core.logging import configure_logging
        from app.main import create_app

        configure_logging("ERROR")
        app = create_app(settings)
        prepare_database(settings)
        socket_path = str(Path(folder) / "api.sock")
        config = uvicorn.Config(app, uds=socket_path, log_config=None, access_log=False, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, name="dockrev", daemon=True)
        thread.start()
        client = Client("http://dockrev", user=user, uds=socket_path)
        try:
            _wait_until_started(server, thread)
            yield client
        finally:
            client.close()
            server.should_exit = True
            thread.join(timeout=10)


def _wait_until_started(server: object, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not getattr(server, "started", False):
        if not thread.is_alive() or time.monotonic() > deadline:
            raise Failure(
                "Dockrev could not be started for this command",
                exit_code=Exit.UNREACHABLE,
                hint="`dockrev doctor` tells what is missing.",
            )
        time.sleep(0.02)

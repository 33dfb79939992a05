"""The image's health check: one request to this container's own server, with next to nothing loaded.

Run as a file (`python3 -S alive.py`), every ten seconds for months: what it costs counts. Ends with 0 when the server
answers well; otherwise with 1 and a line for `docker inspect`.
"""

from __future__ import annotations

import os
import socket
import sys

TIMEOUT_SECONDS = 2.5


def target() -> tuple[str, int, str]:
    """Address, port and path; the supervisor's where the container runs that."""
    path, address, default = "/api/health", os.environ.get("DOCKREV_HTTP_ADDR", ""), "0.0.0.0:50883"
    if "supervisor" in command():
        address, default = os.environ.get("DOCKREV_SUPERVISOR_HTTP_ADDR", ""), "0.0.0.0:50884"
        path = os.environ.get("DOCKREV_SUPERVISOR_BASE_PATH", "").strip().rstrip("/") or "/supervisor"
        path += "/health"
    host, _, port = (address.strip() or default).rpartition(":")
    host = host.strip("[]")
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port), path  # noqa: S104  only compared


def command() -> list[str]:
    """The words of the container's first process: Dockrev, or an init that was put before it."""
    try:
        # pathlib alone would take as long as all the rest
        with open("/proc/1/cmdline", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().split("\0")
    except OSError:
        return []


def ask(host: str, port: int, path: str) -> int:
    """The status of the answer. Raises OSError when there is none, ValueError when it is not HTTP."""
    with socket.create_connection((host, port), TIMEOUT_SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return int(connection.recv(64).split(b" ", 2)[1])


def main() -> int:
    """0 for a server that works. The supervisor answers strangers 401: that, too, is a sign of life."""
    host, port, path = target()
    try:
        status = ask(host, port, path)
    except (OSError, ValueError, IndexError) as error:
        print(f"{path} at {host}:{port}: {error}")
        return 1
    if status == 200 or (status == 401 and path != "/api/health"):
        return 0
    print(f"{path} at {host}:{port} answers {status}")
    return 1


if __name__ == "__main__":
    sys.exit(main())

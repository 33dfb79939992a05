"""A Docker engine of the lab's own, beside (and invisible to) any engine the machine already has.

The daemon runs in a mount and a PID namespace of its own: its overlay mounts never show on the host, and
killing one process ends it with containerd and every container. The network namespace is the host's, so
that published ports and registries on 127.0.0.1 are reachable from both sides; the daemon's
bridge and the networks of Compose get a free range of 10.x.0.0/16. Packet filter rules and the forwarding
switch of the host stay as they are.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import secrets
import socket
import subprocess
import time
from pathlib import Path

from tests.lab.errors import LabUnavailable
from tests.lab.janitor import Janitor
from tests.lab.packages import Tools, lab_lock

_START_TIMEOUT = 30.0

# Run as PID 1 of the new namespaces. /etc, /opt and /run get a layer on top, since the daemon insists on
# writing a few files there. The daemon nags in every answer when forwarding is off on the host; its
# containers don't need it, so it is shown a file that says 1.
_ENTER = r"""
set -e
state="$1"; shift
mount -t tmpfs lab "$state/upper"
for top in etc opt run; do
  mkdir -p "$state/upper/$top/files" "$state/upper/$top/work"
  mount -t overlay lab -o "lowerdir=/$top,upperdir=$state/upper/$top/files,workdir=$state/upper/$top/work" "/$top" \
    2>/dev/null || true
done
echo 1 > "$state/forwarding"
mount --bind "$state/forwarding" /proc/sys/net/ipv4/ip_forward 2>/dev/null || true
exec docker-init -- dockerd "$@"
"""


class Engine:
    """One isolated daemon. `start()` takes about a second once the packages are there."""

    def __init__(self, tools: Tools, janitor: Janitor) -> None:
        self.tools = tools
        self._janitor = janitor
        self._folder = janitor.folder / "engine"
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = self._folder / "docker.sock"
        self.log = self._folder / "dockerd.log"

    @property
    def docker_host(self) -> str:
        """The daemon's address, for `DOCKER_HOST`."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start the daemon and wait until it answers.

        Raises `LabUnavailable` with the end of the daemon's log when it won't start.
        """
        (self._folder / "upper").mkdir(parents=True)
        (self._folder / "daemon.json").write_text("{}")
        name = "dlab" + secrets.token_hex(4)
        self._janitor.own(cgroup=name)
        with lab_lock("network"):  # two labs starting at once must not choose the same range
            second = self._make_bridge(name)
        arguments = [
            f"--config-file={self._folder / 'daemon.json'}",
            f"--data-root={self._folder / 'data'}",
            f"--exec-root={self._folder / 'exec'}",
            f"--pidfile={self._folder / 'dockerd.pid'}",
            f"--host={self.docker_host}",
            f"--bridge={name}",
            f"--default-address-pool=base=10.{second}.128.0/17,size=24",
            f"--cgroup-parent=/{name}",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
            "--max-concurrent-downloads=6",
        ]
        self._launch(arguments)
        self._wait()

    def _make_bridge(self, name: str) -> int:
        ip = next((str(p / "ip") for p in self.tools.path if (p / "ip").exists()), "ip")
        second = free_range(ip)
        self._janitor.own(bridges={"ip": ip, "prefix": f"10.{second}."})
        for command in (
            ["link", "add", name, "type", "bridge"],
            ["addr", "add", f"10.{second}.0.1/24", "dev", name],
            ["link", "set", name, "up"],
        ):
            done = subprocess.run([ip, *command], capture_output=True, text=True, timeout=10)
            if done.returncode != 0:
                raise LabUnavailable(f"a network bridge can't be made here: {done.stderr.strip()}")
        return second

    def _launch(self, arguments: list[str]) -> None:
        isolate = ["unshare", "--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child", "--mount-proc"]
        environment = {**os.environ, "PATH": self.tools.search_path()}
        environment.pop("DOCKER_HOST", None)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*isolate, "sh", "-c", _ENTER, "lab", str(self._folder), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self._janitor.own_process(self._process.pid)

    def _wait(self) -> None:
        assert self._process
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise LabUnavailable(f"dockerd won't start here: {self.last_log_lines()}")
            if ping(self.socket):
                return
            time.sleep(0.05)
        raise LabUnavailable(f"dockerd did not answer within {_START_TIMEOUT:.0f} s: {self.last_log_lines()}")

    def last_log_lines(self, count: int = 5) -> str:
        """The end of the daemon's log, for messages."""
        try:
            return " | ".join(self.log.read_text(errors="replace").strip().splitlines()[-count:])
        except OSError:
            return "(no log)"

    def stop(self) -> None:
        """Kill the daemon with all its containers; the janitor removes what they leave."""
        if self._process:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None


def free_range(ip: str) -> int:
    """An `x` for which no address or route of the machine lies in 10.x.0.0/16."""
    taken: list[ipaddress.IPv4Network] = []
    for what in ("addr", "route"):
        done = subprocess.run([ip, "-j", "-4", what], capture_output=True, text=True, timeout=10)
        if done.returncode != 0:
            raise LabUnavailable(f"the machine's networks can't be listed: {done.stderr.strip()}")
        for item in json.loads(done.stdout or "[]"):
            shown = [f"{a['local']}/{a['prefixlen']}" for a in item.get("addr_info", []) if "local" in a]
            if item.get("dst") not in (None, "default"):
                shown.append(item["dst"])
            taken.extend(ipaddress.IPv4Network(text, strict=False) for text in shown)
    for second in range(250, 100, -1):
        candidate = ipaddress.IPv4Network(f"10.{second}.0.0/16")
        if not any(candidate.overlaps(network) for network in taken):
            return second
    raise LabUnavailable("no free address range is left below 10.0.0.0/8")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(5)
        self.sock.connect(str(self._path))


def ping(path: Path) -> bool:
    """Whether an engine answers on the unix socket."""
    connection = _UnixConnection(path)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()

"""nginx as a plain reverse proxy in front of the mock upstream: hardly anything is cheaper."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from os import geteuid
from pathlib import Path

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.proving.bench.cpu import children
from tokenbooth.proving.child import Child, clean_environment
from tokenbooth.proving.instance import InstanceFault

NAMES = ("nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx")
READY_WAIT_S = 10
POLL_S = 0.01
VERSION_WAIT_S = 10
# One worker, kept connections on both sides, nothing written down, and events passed on at once.
CONFIG = """\
daemon off;
{user}worker_processes 1;
worker_rlimit_nofile {files};
pid {folder}/pid;
error_log {folder}/errors error;
events {{ worker_connections {files}; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  upstream mock {{
    server 127.0.0.1:{upstream_port};
    keepalive 1024;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """One that serves: where, and the processes that are the worker and its master."""

    port: int
    worker: int
    master: int


def nginx_path(names: Sequence[str] = NAMES) -> str:
    """Raises Problem STATE_CONFLICT where there is none."""
    path = next((path for name in names if (path := shutil.which(name))), None)
    if path is None:
        raise Problem(
            Code.STATE_CONFLICT,
            "nginx was not found, and it is what this benchmark measures against. Install it, such "
            "as with `apt-get install nginx-light`.",
        )
    return path


def nginx_version(path: str) -> str:
    """Such as ``1.22.1``."""
    done = subprocess.run(  # noqa: S603  the program that was found
        [path, "-v"], capture_output=True, timeout=VERSION_WAIT_S, check=False
    )
    return done.stderr.decode("utf-8", "replace").strip().rpartition("/")[2]


def free_port() -> int:
    """A port that nobody has at the moment."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def nginx(path: str, folder: Path, upstream_port: int, files: int) -> Iterator[Nginx]:
    """Serves in ``folder`` with up to ``files`` connections; gone at the end.

    Raises InstanceFault when it does not start.
    """
    folder.mkdir()
    port = free_port()
    # A worker that another account runs could not read a private directory of root's.
    user = "user root root;\n" if geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(
        CONFIG.format(folder=folder, port=port, upstream_port=upstream_port, files=files, user=user)
    )
    command = [path, "-p", str(folder), "-c", str(config), "-e", str(folder / "errors")]
    with Child(command, folder / "log", clean_environment({})) as child:
        yield _ready(child, port)


def _ready(child: Child, port: int) -> Nginx:
    until = time.monotonic() + READY_WAIT_S
    while time.monotonic() < until and child.running:
        master = child.pid
        workers = () if master is None else children(master)
        if master is not None and workers and accepts(port):
            return Nginx(port, workers[0], master)
        time.sleep(POLL_S)
    raise InstanceFault(f"nginx did not start.\n{child.log_tail()}")


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

"""What nginx, as a plain proxy in front of our server, makes of each case."""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.smuggling.corpus import Case
from tests.smuggling.verdicts import Ear, Verdict, statuses_in
from tests.support.front import front
from tokenbooth.edge.http1.connections import Connections
from tokenbooth.proving.drills.engine import free_port

QUIET_S = 0.3
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
CONF = """
worker_processes 1;
error_log {dir}/error.log emerg;
pid {dir}/pid;
daemon off;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3;
  uwsgi_temp_path {dir}/4; scgi_temp_path {dir}/5;
  upstream far {{ server 127.0.0.1:{far}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{near};
    location / {{ proxy_pass http://far; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


def version() -> str | None:
    """``None`` where there is no nginx."""
    if not Path(NGINX).exists():
        return None
    said = subprocess.run([NGINX, "-v"], capture_output=True, text=True, check=True).stderr
    return said.strip().partition("nginx/")[2]


async def verdicts(cases: Sequence[Case]) -> dict[str, Verdict]:
    ear = Ear()
    async with _listening(ear) as far:
        with _nginx(far) as near:
            while not await _answers(near):
                await asyncio.sleep(0.05)
            return {case.name: await _judged(case, near, ear) for case in cases}


@asynccontextmanager
async def _listening(ear: Ear) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    all_of_them = Connections(front(*ear.routes()), loop, connections_max=64, now_us=lambda: 0)
    server = await loop.create_server(all_of_them.accepted, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        all_of_them.abort()
        await all_of_them.gone()


@contextmanager
def _nginx(far: int) -> Iterator[int]:
    near = free_port()
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder, "nginx.conf")
        conf.write_text(CONF.format(dir=folder, far=far, near=near))
        running = subprocess.Popen([NGINX, "-c", conf, "-p", folder])
        try:
            yield near
        finally:
            running.terminate()
            running.wait(10)


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _judged(case: Case, port: int, ear: Ear) -> Verdict:
    ear.calls.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = b""
    with contextlib.suppress(ConnectionError):
        for piece in case.pieces:
            writer.write(piece)
            await writer.drain()
        if case.half_closed:
            writer.write_eof()
    with contextlib.suppress(TimeoutError, ConnectionError):
        while piece := await asyncio.wait_for(reader.read(65536), QUIET_S):
            heard += piece
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return Verdict(statuses_in(heard), tuple(ear.calls))

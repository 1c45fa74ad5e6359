"""How many connections a server dares to hold, and how much of an answer the kernel may keep."""

import resource
import socket

import pytest

from tokenbooth.edge import server
from tokenbooth.edge.options import EdgeOptions
from tokenbooth.edge.server import FILES_RESERVED, connections_within, listen

NONE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("asked", "soft", "hard", "given", "raised_to"),
    [
        (100, 10_000, 10_000, 100, None),
        (8192, 1024, 65_536, 8192, 8192 + FILES_RESERVED),
        (8192, 1024, NONE, 8192, 8192 + FILES_RESERVED),
        (8192, 1024, 4096, 4096 - FILES_RESERVED, 4096),
        (8192, 1024, 1024, 1024 - FILES_RESERVED, 1024),
        (8192, 64, 64, 1, 64),
        (8192, NONE, NONE, 8192, None),
    ],
)
def test_connections_fit_the_open_file_limit(monkeypatch, asked, soft, hard, given, raised_to):
    limits = []
    monkeypatch.setattr(server.resource, "getrlimit", lambda what: (soft, hard))
    monkeypatch.setattr(server.resource, "setrlimit", lambda what, pair: limits.append(pair))
    assert connections_within(EdgeOptions(connections_max=asked)) == given
    assert limits == ([] if raised_to is None else [(raised_to, hard)])


def test_the_kernel_keeps_little_of_what_a_reader_does_not_take():
    """What it keeps is charged as delivered; left to itself it takes megabytes on this machine."""
    options = EdgeOptions(port=0)
    with listen(options) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()) as reader:
            served, _ = listener.accept()
            with served:
                assert served.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= (
                    2 * options.pressure_low_bytes
                )
                served.sendall(b"answer")
                assert reader.recv(6) == b"answer"

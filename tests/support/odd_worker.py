"""A child that misbehaves as its options say; started as ``python -m tests.support.odd_worker``."""

import json
import os
import signal
import socket
import sys
import time

from tests.unit.engines.child.test_loop import Parrot
from tokenbooth.engines.child.frames import Load, Ready, Step, encode
from tokenbooth.engines.child.loop import Backend, _End, main


class Deaf(Parrot):
    """Never comes back from its first step."""

    def step(self, out: object) -> None:
        time.sleep(3600)


def load(options_json: bytes) -> Backend:
    """Whole children: ``parrot`` and ``deaf``; ``crash`` dies while loading."""
    mode = json.loads(options_json)["mode"]
    if mode == "crash":
        print("the model is cursed", file=sys.stderr, flush=True)
        os._exit(3)
    return Deaf() if mode == "deaf" else Parrot()


def odd(connection: socket.socket, mode: str) -> None:
    """Children that break the protocol once they are ready."""
    connection.sendall(encode(Ready(64, "odd")))
    if mode == "garbage":
        connection.sendall(b"\x00\x00\x00\x04\xc1\xc1\xc1\xc1")
    elif mode == "huge":
        connection.sendall(b"\xff\xff\xff\xff")
    elif mode == "chatty":
        for _ in range(200):
            print("x" * 1000, file=sys.stderr)
        print("famous last words", file=sys.stderr, flush=True)
        os._exit(1)
    elif mode == "split":
        for byte in encode(Step()) + encode(Step()):
            connection.sendall(bytes([byte]))
    elif mode == "stubborn":
        for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGPIPE"):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    while connection.recv(65536):
        pass
    if mode == "stubborn":
        time.sleep(3600)


def start() -> None:
    first = socket.socket(fileno=os.dup(int(sys.argv[-1])))
    with first:
        order = None
        first.setblocking(True)
        peeked = first.recv(65536, socket.MSG_PEEK)
        mode = json.loads(peeked[peeked.index(b"{") :])["mode"]
        if mode in ("parrot", "deaf", "crash"):
            main(load)
        while not isinstance(order, Load):
            [order] = _End(first).orders(wait_s=None)
        odd(first, mode)


if __name__ == "__main__":
    start()

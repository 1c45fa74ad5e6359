"""From an empty environment to a paid answer, and a booth that stays open."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.outside.package.conftest import Installed, Ran

LAST_LINE = "Stop it: Ctrl-C"
UP_WAIT_S = 300
# Stands in where there is no curl: the three options that are printed, and nothing else.
CURL = """\
import http.client, sys, urllib.parse
assert sys.argv[1] == "-N"
url, options = urllib.parse.urlsplit(sys.argv[2]), sys.argv[3:]
pairs = list(zip(options[::2], options[1::2], strict=True))
headers = dict(value.split(": ", 1) for option, value in pairs if option == "-H")
(body,) = [value for option, value in pairs if option == "-d"]
connection = http.client.HTTPConnection(url.hostname, url.port, timeout=120)
connection.request("POST", url.path, body.encode(), headers)
sys.stdout.write(connection.getresponse().read().decode())
"""


@dataclass(frozen=True)
class FirstRun:
    data_dir: Path
    said: Ran

    def amounts(self, label: str) -> list[str]:
        """The decimal amounts on the line that begins with ``label``."""
        (line,) = [x for x in self.said.out.splitlines() if x.startswith(f"{label} ")]
        return re.findall(r"\d+\.\d{9}", line)


@pytest.fixture(scope="session")
def first_run(whole: Installed, tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    """``tokenbooth up --once`` with nothing there, weights neither."""
    data_dir = tmp_path_factory.mktemp("first") / "booth"
    return FirstRun(data_dir, whole.tokenbooth("up", "--once", "--data-dir", data_dir))


def nano(amount: str) -> int:
    return int(amount.replace(".", ""))


def test_one_command_streams_a_paid_answer_and_the_books_agree(first_run: FirstRun) -> None:
    said = first_run.said
    assert said.code == 0, said.err
    answer, _, receipt = said.out.partition("\n\nusage ")
    assert len(answer) > 20
    assert re.match(r" *\d+ input \+ \d+ output tokens", receipt)
    (cost,) = first_run.amounts("cost")
    before, after = first_run.amounts("balance")
    assert nano(before) - nano(after) == nano(cost) > 0
    assert nano(before) == 5 * 10**9


def test_nothing_is_left_outside_the_data_directory(whole: Installed, first_run: FirstRun) -> None:
    assert first_run.said.code == 0
    home = whole.elsewhere / "home"
    left = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    assert not [path for path in left if not path.startswith(".cache/pip/")]
    assert not (home / ".tokenbooth").exists()


def test_the_books_are_sound_afterwards(whole: Installed, first_run: FirstRun) -> None:
    found = whole.tokenbooth("ledger", "verify", "--json", "--data-dir", first_run.data_dir)
    assert found.code == 0, found.err
    assert found.document["sound"] is True
    assert found.document["open_holds"] == 0


def test_up_stays_open_prints_calls_that_work_and_stops_when_told(
    whole: Installed, first_run: FirstRun, tmp_path: Path
) -> None:
    with whole.started("up", "--data-dir", first_run.data_dir) as booth:
        said = until_open(booth)
        base_url = value_of(said, "base URL")
        assert value_of(said, "API key").startswith("tb_live_")
        assert value_of(said, "model") == "smollm2-135m"

        streamed = shell(whole, block(said, "curl -N", 3), tmp_path)
        assert streamed.code == 0, streamed.err
        assert '"content"' in streamed.out
        assert streamed.out.rstrip().endswith("data: [DONE]")

        program = tmp_path / "call.py"
        program.write_text(block(said, "from openai import OpenAI", 5))
        answered = whole.run(whole.python, program)
        assert answered.code == 0, answered.err
        assert answered.out.strip()

        again = whole.tokenbooth("up", "--data-dir", first_run.data_dir)
        assert again.code == 1
        assert (
            f"served already by process {booth.pid} at {base_url.removesuffix('/v1')}" in again.err
        )
        assert "--data-dir" in again.err

        booth.send_signal(signal.SIGTERM)
        assert booth.wait(60) == 0, whole.errors
    assert "Traceback" not in whole.errors
    usage = whole.tokenbooth("usage", "--json", "--data-dir", first_run.data_dir).document
    (line,) = usage["data"]
    assert line["calls"] >= 3
    assert line["running"] == 0


def until_open(booth: "subprocess.Popen[str]") -> list[str]:
    """What it prints until it says how to stop it; fails when it ends before."""
    lines: list[str] = []
    assert booth.stdout is not None
    deadline = threading.Timer(UP_WAIT_S, booth.kill)
    deadline.start()
    try:
        for line in booth.stdout:
            lines.append(line.rstrip("\n"))
            if line.rstrip().endswith(LAST_LINE):
                return lines
    finally:
        deadline.cancel()
    raise AssertionError(f"it ended before it was open: {lines}")


def value_of(said: list[str], label: str) -> str:
    (line,) = [line for line in said if line.startswith(f"{label} ")]
    return line.removeprefix(label).strip()


def block(said: list[str], start: str, count: int) -> str:
    """``count`` printed lines from the one that begins with ``start``, to be copied."""
    (first,) = [number for number, line in enumerate(said) if line.startswith(start)]
    return "\n".join(said[first : first + count]) + "\n"


def shell(installed: Installed, text: str, folder: Path) -> Ran:
    """Paste ``text`` into a shell."""
    variables = installed.variables()
    if shutil.which("curl", path=variables["PATH"]) is None:
        curl = folder / "curl"
        curl.write_text(f"#!{sys.executable}\n{CURL}")
        curl.chmod(0o755)
        variables["PATH"] = os.pathsep.join((str(folder), variables["PATH"]))
    done = subprocess.run(
        ["sh", "-c", text], env=variables, capture_output=True, text=True, timeout=120, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)

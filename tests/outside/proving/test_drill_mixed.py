"""The mixed drill as a stranger runs it, on both databases."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.outside.conftest import Databases
from tests.outside.proving import playing
from tokenbooth.control.serving import serving_now
from tokenbooth.proving.child import clean_environment, own_command

CALLS = 500


def drill(*options: str) -> tuple[int, dict[str, Any], str]:
    return playing.drill("mixed", *options)


def assert_books_are_right(document: dict[str, Any], calls: int) -> None:
    assert document["violations"] == []
    assert document["passed"] is True
    assert document["calls"] == calls
    assert document["difference_nano"] == 0
    assert document["ledger_difference_nano"] == 0
    assert document["spent_nano"] == document["ledger_nano"] > 0
    assert document["open_holds"] == 0
    assert document["overshoot_nano"] == 0
    assert document["engine_kills"] == 2
    assert document["server_5xx_on_client_fault"] == 0


def test_the_books_are_right_on_sqlite() -> None:
    status, document, said = drill("--calls", str(CALLS), "--seed", "11")
    assert_books_are_right(document, CALLS)
    assert (status, document["store"]) == (0, "sqlite"), said


def test_the_books_are_right_on_postgresql_twice_in_one_database(
    postgres: Databases,
) -> None:
    url = postgres.empty().url
    for seed in ("12", "13"):
        status, document, said = drill("--calls", str(CALLS // 2), "--seed", seed, "--store", url)
        assert_books_are_right(document, CALLS // 2)
        assert (status, document["store"]) == (0, "postgresql"), said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--calls", "5"), "calls must be from"),
        (("--parallel", "1"), "parallel must be from"),
        (("--calls", "100", "--store", "mysql://nobody"), ""),
    ],
)
def test_a_drill_that_cannot_be_played_says_why(options: tuple[str, ...], says: str) -> None:
    status, document, said = drill(*options)
    assert status == 1
    assert says in document["error"]["message"]
    assert "Traceback" not in said


def test_an_unreachable_store_is_no_passed_drill(tmp_path: Path) -> None:
    status, document, said = drill("--store", f"postgresql://nobody@/none?host={tmp_path}")
    assert status == 1
    assert "error" in document
    assert "Traceback" not in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_drill_that_is_stopped_leaves_nothing_behind(number: int, tmp_path: Path) -> None:
    environ = clean_environment({"TMPDIR": str(tmp_path)})
    with subprocess.Popen(
        own_command("drill", "mixed", "--calls", "5000", "--json"),
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        server_pid = None
        while server_pid is None:
            assert running.poll() is None, "the drill ended before it was stopped"
            time.sleep(0.05)
            for directory in tmp_path.glob("tokenbooth-drill-*/instance"):
                serving = serving_now(directory)
                server_pid = None if serving is None else serving.pid
        running.send_signal(number)
        assert running.wait(60) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(server_pid, 0)
    assert list(tmp_path.iterdir()) == []

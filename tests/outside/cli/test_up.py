"""From an empty directory to a paid, streamed answer of a real model."""

import json
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.outside.cli.conftest import Run
from tokenbooth.proving.child import clean_environment, own_command

UP_WAIT_S = 300


def test_the_first_paid_call_is_exact_and_the_second_run_adds_nothing(
    run: Run, tmp_path: Path
) -> None:
    first = run("up", "--once", "--port", "0", "--json")
    assert first.code == 0, first.err
    call: Any = first.document["call"]
    assert call["exact"] is True
    assert call["answer"]
    before, after, cost = (
        call[name]["amount_nano"] for name in ("balance_before", "balance_after", "cost")
    )
    assert before - after == cost > 0
    assert call["usage"]["completion_tokens"] > 0
    key_file = tmp_path / "booth" / "secrets" / "up.key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600

    second = run("up", "--once", "--port", "0")
    assert second.code == 0, second.err
    assert "exactly the cost" in second.out
    assert call["answer"][:20] in second.out
    rows = run("usage", "--json").document["data"]
    assert [(row["organization"], row["calls"]) for row in rows] == [("demo", 2)]
    assert run("ledger", "verify", "--json").document["open_holds"] == 0


def test_up_serves_until_it_is_stopped_and_refuses_a_second_one(run: Run, tmp_path: Path) -> None:
    command = own_command("up", "--port", "0", "--json", "--data-dir", str(tmp_path / "booth"))
    errors = (tmp_path / "errors").open("wb")
    with (
        errors,
        subprocess.Popen(
            command, env=clean_environment({}), stdout=subprocess.PIPE, stderr=errors
        ) as serving,
    ):
        try:
            said = _document(serving)
            again = run("up")
            assert again.code == 1
            assert said["base_url"].removesuffix("/v1") in again.err
            short = ("chat", said["model"], "--max-tokens", "16")
            talked = run(*short, typed="Say hi.\nAnd again.\n")
            assert talked.code == 0, talked.err
            assert talked.out.count("USD in all]") == 2
            once = run(*short, "-m", "Hello", "--json")
            assert int(once.document["cost"].replace(".", "")) > 0
            serving.send_signal(signal.SIGTERM)
            assert serving.wait(60) == 0, (tmp_path / "errors").read_text()
        finally:
            serving.kill()
    assert run("ledger", "verify").code == 0


def _document(serving: "subprocess.Popen[bytes]") -> Any:
    """The JSON document that the command prints once it serves."""
    assert serving.stdout is not None
    text = b""
    until = time.monotonic() + UP_WAIT_S
    while time.monotonic() < until:
        line = serving.stdout.readline()
        assert line, "the command ended before it served"
        text += line
        if line == b"}\n":
            return json.loads(text)
    raise AssertionError("the command did not serve in time")

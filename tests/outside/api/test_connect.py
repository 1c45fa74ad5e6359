"""What ``connect`` prints works as it is, and its check is a real, paid turn."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.outside.api.conftest import Running
from tokenbooth.cli.recipes import RECIPES, Target, recipe
from tokenbooth.proving.child import clean_environment, own_command

RUN_WAIT_S = 120


def balance_nano(running: Running) -> int:
    asked = Request(
        f"{running.base_url}/balance", headers={"authorization": f"Bearer {running.secret}"}
    )
    with urlopen(asked, timeout=RUN_WAIT_S) as answer:
        return json.load(answer)["spendable"]["amount_nano"]


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_the_printed_program_runs_with_the_printed_variables(
    running: Running, tmp_path: Path, name: str
) -> None:
    made = recipe(name, Target(running.address.base_url, running.secret, "thinker"))
    program = tmp_path / "hello.py"
    program.write_text(made.programs["hello.py"])
    before = balance_nano(running)
    done = subprocess.run(
        (sys.executable, str(program)),
        env=clean_environment(made.variables),
        capture_output=True,
        text=True,
        timeout=RUN_WAIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split()) == 16
    assert balance_nano(running) < before


@pytest.mark.parametrize("name", ["claude-code", "codex", "aider"])
def test_a_check_costs_what_it_says_in_each_api(running: Running, name: str) -> None:
    before = balance_nano(running)
    reach = ("--base-url", running.base_url, "--key", running.secret)
    done = subprocess.run(
        own_command("connect", name, *reach, "--model", "demo", "--check", "--json"),
        env=clean_environment({}),
        capture_output=True,
        text=True,
        timeout=RUN_WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    check = document["check"]
    assert check["output_tokens"] == len(check["answer"].split()) == 16
    assert before - balance_nano(running) == round(float(check["cost"]) * 1e9) > 0
    assert running.secret in document["variables"].values()


def test_a_refused_check_prints_no_configuration(running: Running) -> None:
    reach = ("--base-url", running.base_url, "--key", "tb_live_wrong")
    done = subprocess.run(
        own_command("connect", next(iter(RECIPES)), *reach, "--model", "demo", "--check"),
        env=clean_environment({}),
        capture_output=True,
        text=True,
        timeout=RUN_WAIT_S,
        check=False,
    )
    assert done.returncode == 1
    assert "API key is malformed" in done.stderr
    assert done.stdout == ""

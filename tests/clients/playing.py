"""Runs one turn of one client: an empty home, an empty project, and no way out but the booth."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.clients.install import Cache
from tests.clients.judging import Seen, fault
from tests.clients.stage import ABSENT, HELLO, PATCHER, PROOF_FILE, SMALL, Stage, tool_model
from tests.clients.table import Client, Kind, Turn
from tokenbooth.cli.recipes import Recipe, Target, recipe

PROGRAMS = Path(__file__).resolve().parent / "programs"
TURN_WAIT_S = 150
REFUSAL_WAIT_S = 60
SETTLED_WAIT_S = 10
POLL_S = 0.1
# Nobody listens there: what respects these variables and calls elsewhere fails at once.
NOWHERE = "http://127.0.0.1:9"
QUIET = {
    "HTTP_PROXY": NOWHERE,
    "HTTPS_PROXY": NOWHERE,
    "NO_PROXY": "127.0.0.1,localhost",
    "NODE_USE_ENV_PROXY": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DO_NOT_TRACK": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "QWEN_TELEMETRY_ENABLED": "false",
    # Claude Code asks root for a container before it runs tools.
    "IS_SANDBOX": "1",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "NO_COLOR": "1",
}
_AIDER = ("--no-git", "--yes-always", "--no-check-update", "--analytics-disable")
_CODEX = ("exec", "--skip-git-repo-check", "--sandbox", "danger-full-access")
_EVENTS = ("--output-format", "stream-json", "--include-partial-messages", "--verbose")
PROMPT = "Say hello."
WRONG_KEY = "tb_live_wrong"


@dataclass(frozen=True)
class Result:
    """``fault`` is None where the turn went well."""

    client: str
    turn: Turn
    fault: str | None
    known: str | None
    duration_s: int
    model: str

    @property
    def passed(self) -> bool:
        """A turn that is known not to work must not work."""
        return (self.fault is None) == (self.known is None)


def play(stage: Stage, cache: Cache, client: Client, turn: Turn) -> Result:
    """Run the turn and judge it."""
    model = _model(stage, client, turn)
    target = Target(stage.base_url, _key(stage, client, turn), model)
    before = {call["id"] for call in stage.calls(client)}
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="client-", ignore_cleanup_errors=True) as place:
        status, output, proof = _run(Path(place), cache, client, turn, target)
    calls = [call for call in _settled(stage, client) if call["id"] not in before]
    seen = Seen(status, output, calls, proof, real_model=model == SMALL)
    took_s = round(time.monotonic() - begun)
    found = fault(client, turn, seen)
    return Result(client.name, turn, found, client.known.get(turn), took_s, model)


def _key(stage: Stage, client: Client, turn: Turn) -> str:
    match turn:
        case Turn.NO_MONEY:
            return stage.poor[client.name]
        case Turn.WRONG_KEY:
            return WRONG_KEY
    return stage.rich[client.name]


def _model(stage: Stage, client: Client, turn: Turn) -> str:
    """The real model where the prompt fits into it and any answer will do."""
    match turn:
        case Turn.TOOLS:
            return tool_model(client)
        case Turn.PATCH:
            return PATCHER
        case Turn.ERROR:
            return ABSENT
    fits = client.program is not None and not client.scripted
    return SMALL if stage.small and fits else HELLO


def _settled(stage: Stage, client: Client) -> list[dict[str, object]]:
    """The records once no call runs any more, or as they are when that takes too long."""
    until = time.monotonic() + SETTLED_WAIT_S
    while True:
        calls = stage.calls(client)
        running = any(call["status"] == "running" for call in calls)
        if not running or time.monotonic() > until:
            return calls
        time.sleep(POLL_S)


def _run(
    place: Path, cache: Cache, client: Client, turn: Turn, target: Target
) -> tuple[int | None, str, str]:
    """Exit status, output, and what the client's shell wrote."""
    home, project = place / "home", place / "project"
    home.mkdir()
    project.mkdir()
    variables = {**QUIET, "HOME": str(home), "PATH": _path(cache, client)}
    if client.program is None:
        assert client.recipe is not None
        found = recipe(client.recipe, target)
        variables |= found.variables
        _write(found, home, project)
        command = _command(cache, client, turn)
        subprocess.run(("git", "init", "--quiet"), cwd=project, env=variables, check=False)
    else:
        command = _program(project, cache, client, turn, target)
        variables |= {
            "BASE_URL": target.base_url,
            "API_KEY": target.key,
            "MODEL": target.model,
        }
        if turn is Turn.PRINTED and client.recipe is not None:
            variables |= recipe(client.recipe, target).variables
    refused = turn in (Turn.WRONG_KEY, Turn.NO_MONEY)
    wait_s = REFUSAL_WAIT_S if refused else TURN_WAIT_S
    status, output = _wait(command, project, variables, wait_s)
    proof = project / PROOF_FILE
    return status, output, proof.read_text() if proof.is_file() else ""


def _path(cache: Cache, client: Client) -> str:
    own = [str(cache.node_bin)] if client.kind is Kind.NPM else []
    return os.pathsep.join([*own, str(cache.bin(client)), *os.defpath.split(os.pathsep)])


def _write(found: Recipe, home: Path, project: Path) -> None:
    for where, content in found.files.items():
        file = home / where[2:] if where.startswith("~/") else project / where
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


def _command(cache: Cache, client: Client, turn: Turn) -> Sequence[str]:
    """Each client as a person would start it without a terminal."""
    streamed = turn is Turn.STREAMED
    arguments: Mapping[str, tuple[str, ...]] = {
        "claude-code": ("claude", "-p", PROMPT, "--allowedTools", "Bash")
        + (_EVENTS if streamed else ()),
        "codex": ("codex", *_CODEX, *(("--json",) if streamed else ()), PROMPT),
        "opencode": ("opencode", "run", PROMPT),
        "aider": ("aider", *_AIDER, "--no-show-model-warnings", "--message", PROMPT)
        + (("--stream",) if streamed else ("--no-stream",)),
        "qwen-code": ("qwen", "--auth-type", "openai", "--yolo", "--prompt", PROMPT),
    }
    name, *rest = arguments[client.name]
    return (str(cache.bin(client) / name), *rest)


def _program(
    project: Path, cache: Cache, client: Client, turn: Turn, target: Target
) -> Sequence[str]:
    """The library's program, or the one that ``connect`` prints, beside the library itself."""
    assert client.program is not None
    source = (PROGRAMS / client.program).read_text()
    suffix = Path(client.program).suffix
    if turn is Turn.PRINTED and client.recipe is not None:
        source = recipe(client.recipe, target).programs[f"hello{suffix}"]
    program = project / f"program{suffix}"
    program.write_text(source)
    if client.kind is Kind.PIP:
        return (str(cache.bin(client) / "python"), str(program), _mode(turn))
    (project / "node_modules").symlink_to(cache.folder(client) / "node_modules")
    return (str(cache.node_bin / "node"), str(program), _mode(turn))


def _mode(turn: Turn) -> str:
    return turn.value if turn in (Turn.STREAMED, Turn.TOOLS) else Turn.PLAIN.value


def _wait(
    command: Sequence[str], directory: Path, variables: Mapping[str, str], wait_s: int
) -> tuple[int | None, str]:
    """Run with a bound; what it started ends with it."""
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            command,
            cwd=directory,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status: int | None = child.wait(wait_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        output.seek(0)
        return status, output.read().decode("utf-8", "replace")

"""Asks a booth and an engine's own server the same; exits 0 when every difference has a reason.

``python -m tests.oracle`` is ``scripts/oracle``. Without ``--only`` it writes ``docs/oracle.md``.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from tests.oracle.cases import Case, cases
from tests.oracle.comparing import Difference, differences
from tests.oracle.page import Compared, compared, page
from tests.oracle.reading import seen
from tests.oracle.servers import (
    CONTEXT_TOKENS,
    LLAMA,
    ROOT,
    VLLM,
    OracleFault,
    Server,
    booth,
    llama,
    local_deployment,
    upstream_deployment,
    vllm,
    vllm_python,
)

PAGE = ROOT / "docs" / "oracle.md"
NOT_ASKED = "it was not asked for (`--vllm`)."


def main(arguments: Sequence[str]) -> int:
    asked = _asked(arguments)
    runs = [_compared(server, asked) for server in (LLAMA, VLLM) if asked.only in (None, server)]
    failed = False
    for run in runs:
        unexplained, unused = run.unexplained(), run.unused()
        for found in unexplained:
            _say(f"   no reason: {found.line}")
        for each in unused:
            _say(f"   not needed: {each.why} ({', '.join(each.kinds)})")
        _say(f"== {run.server}: {run.absent or _sum(run)}")
        failed = failed or bool(unexplained or unused)
    if asked.only is None:
        PAGE.write_text(page(runs, f"{datetime.now(UTC):%Y-%m-%d}"))
        _say(f"== wrote {PAGE.relative_to(ROOT)}")
    return int(failed)


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/oracle", description=__doc__)
    parser.add_argument("--only", choices=(LLAMA, VLLM), help="leave the other out")
    parser.add_argument("--vllm", action="store_true", help="install vLLM's CPU build (3.5 GB)")
    parser.add_argument("--vllm-python", type=Path, help="a Python that has vLLM's CPU build")
    parser.add_argument("--cache", type=Path, default=ROOT / ".oracle", help="folder of installs")
    return parser.parse_args(arguments)


def _compared(server: str, asked: argparse.Namespace) -> Compared:
    """What cannot be had on this machine is told on the page, and is no failure."""
    wanted = asked.vllm or asked.vllm_python or asked.only == VLLM
    if server == VLLM and not wanted:
        return Compared(server, absent=NOT_ASKED)
    with ExitStack() as open_things:
        made = tempfile.TemporaryDirectory(prefix="oracle-", ignore_cleanup_errors=True)
        place = Path(open_things.enter_context(made))
        try:
            if server == LLAMA:
                oracle = open_things.enter_context(llama(place))
                deployment = local_deployment()
            else:
                python = asked.vllm_python or vllm_python(asked.cache.resolve())
                oracle = open_things.enter_context(vllm(place, python.absolute()))
                deployment = upstream_deployment(oracle)
        except OracleFault as fault:
            return Compared(server, absent=f"it cannot be had on this machine: {fault}")
        _say(f"== {oracle.version}")
        ours = open_things.enter_context(
            booth(place / "booth", deployment, context_tokens=CONTEXT_TOKENS)
        )
        played = list(cases())
        found = [each for case in played for each in _play(case, ours, oracle)]
    return compared(server, oracle.version, played, found)


def _play(case: Case, ours: Server, oracle: Server) -> list[Difference]:
    body = json.dumps(case.body).encode()
    both = [seen(case, *server.answer(case, body)) for server in (ours, oracle)]
    return list(differences(case, *both))


def _sum(run: Compared) -> str:
    reasons = sum(each is not None for each in run.explained())
    return f"{len(run.cases)} calls, {len(run.found)} differences, {reasons} reasons"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    # So that what was started ends with this program.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    sys.exit(main(sys.argv[1:]))

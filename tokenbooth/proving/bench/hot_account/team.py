"""The gateway processes of one benchmark, driven over their standard input and output."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from tokenbooth.proving.bench.hot_account import gateway
from tokenbooth.proving.bench.hot_account.plan import GatewayPlan, GatewaySaw, TurnPlan
from tokenbooth.proving.child import LAST_WAIT_S, clean_environment
from tokenbooth.proving.instance import InstanceFault

COMMAND = (sys.executable, "-m", gateway.__name__)
END_WAIT_S = 60
TAIL_CHARACTERS = 4000


class Team:
    """Processes that are told the same at the same moment."""

    def __init__(self, members: Sequence["subprocess.Popen[bytes]"], logs: Sequence[Path]) -> None:
        self._members = members
        self._logs = logs

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(member.pid for member in self._members)

    def turn(self, plan: TurnPlan) -> tuple[GatewaySaw, ...]:
        """Play one turn in all of them. Raises InstanceFault when one of them ended."""
        for member in range(len(self._members)):
            self.tell(member, plan)
        return tuple(
            msgspec.json.decode(self.hear(member), type=GatewaySaw)
            for member in range(len(self._members))
        )

    def tell(self, member: int, what: object) -> None:
        pipe = self._members[member].stdin
        assert pipe is not None, "it was started with pipes"
        with contextlib.suppress(BrokenPipeError):  # what it said before its end is told by hear
            pipe.write(msgspec.json.encode(what) + b"\n")
            pipe.flush()

    def hear(self, member: int) -> bytes:
        """Its next line."""
        pipe = self._members[member].stdout
        assert pipe is not None, "it was started with pipes"
        line = pipe.readline()
        if not line:
            tail = self._logs[member].read_text("utf-8", "replace")[-TAIL_CHARACTERS:]
            raise InstanceFault(f"A gateway of the benchmark ended.\n{tail}")
        return line

    def dismiss(self) -> None:
        """Let them give everything back and end."""
        for member in self._members:
            assert member.stdin is not None, "it was started with pipes"
            member.stdin.close()
        for member in self._members:
            member.wait(END_WAIT_S)


@contextlib.contextmanager
def gathered(
    plans: Sequence[GatewayPlan], variables: Mapping[str, str], directory: Path
) -> Iterator[Team]:
    """One process for each plan, ready to play; ended on every way out."""
    logs = [directory / f"{plan.replica}.log" for plan in plans]
    with contextlib.ExitStack() as stack:
        members = []
        for log in logs:
            stream = stack.enter_context(log.open("wb"))
            member = subprocess.Popen(  # noqa: S603  our own interpreter
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=clean_environment(variables),
            )
            stack.callback(_end, member)
            members.append(member)
        team = Team(members, logs)
        for number, plan in enumerate(plans):
            team.tell(number, plan)
        for number in range(len(plans)):
            team.hear(number)
        yield team
        team.dismiss()


def _end(member: "subprocess.Popen[bytes]") -> None:
    member.kill()
    member.wait(LAST_WAIT_S)
    for pipe in (member.stdin, member.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

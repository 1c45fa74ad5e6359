"""The dated page of what was alike, and of every difference with its reason."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.oracle.cases import Case
from tests.oracle.comparing import COUNTED, Difference
from tests.oracle.explained import REASONS, Reason, reason
from tests.oracle.families import Family

HEAD = """\
# The booth beside the engines' own servers

Written by `scripts/oracle` on {day}. Two servers get the same calls over the same weights, SmolLM2
135M, at temperature 0: the booth, and an engine's own server, which has these dialects too. Held
together are the status, the fields and their types, the order of events, the end, the counts of
tokens and the text. A difference without a reason fails the run, and so does a reason that no
difference needs. Fields that only the booth has are looked up in the types of the official
packages.

- **{llama}**: the booth runs the same engine, in the same build and with the same settings.
- **{vllm}**: the booth has that very server as its upstream. It computes in 16 bits.
"""


@dataclass(frozen=True)
class Compared:
    """All calls to one server, each difference with its reason; ``absent`` says why there were
    none."""

    server: str
    version: str = ""
    cases: Sequence[Case] = ()
    found: Sequence[tuple[Difference, Reason | None]] = ()
    absent: str = ""

    def explained(self) -> Counter[Reason | None]:
        """How many differences each reason covers; ``None`` stands for those without one."""
        return Counter(why for _, why in self.found)

    def unexplained(self) -> list[Difference]:
        return [difference for difference, why in self.found if why is None]

    def unused(self) -> list[Reason]:
        """Reasons that nothing needs."""
        used = self.explained()
        mine = [each for each in REASONS if self.server in each.servers]
        return [each for each in mine if not used[each]] if self.cases else []


def compared(
    server: str, version: str, cases: Sequence[Case], differences: Sequence[Difference]
) -> Compared:
    found = [(each, reason(server, each, REASONS)) for each in differences]
    return Compared(server, version, cases, found)


def page(runs: Sequence[Compared], day: str) -> str:
    names = {"llama": runs[0].version or runs[0].server, "vllm": runs[1].version or runs[1].server}
    lines = [HEAD.format(day=day, **names)]
    for run in runs:
        lines += ["", f"## {run.server}", "", *_section(run)]
    return "\n".join([*lines, ""])


def _section(run: Compared) -> Iterator[str]:
    if run.absent:
        yield f"Not run: {run.absent}"
        return
    kinds = [str(kind) for kind in COUNTED]
    yield f"Calls that agree, of those where both can be held together ({len(run.cases)} in all):"
    yield ""
    yield f"| | Calls | {' | '.join(kinds)} |"
    yield "|---" * (len(kinds) + 2) + "|"
    for family in Family:
        mine = [case for case in run.cases if case.family is family]
        differing = Counter(f.kind for f, _ in run.found if f.case.family is family)
        refused = differing[COUNTED[0]]
        cells = [f"{len(mine) - refused}"]
        cells += [f"{len(mine) - refused - differing[kind]}" for kind in COUNTED[1:]]
        yield f"| {family} | {len(mine)} | {' | '.join(cells)} |"
    yield ""
    yield "| Differences | Where | Why |"
    yield "|---|---|---|"
    explained = run.explained()
    for each in REASONS:
        if explained[each]:
            yield f"| {explained[each]} | {_where(run, each)} | {each.why} |"
    for found in run.unexplained():
        yield f"| 1 | {found.line.replace('|', '/')} | **No reason is known.** |"


def _where(run: Compared, each: Reason) -> str:
    covered = [difference for difference, why in run.found if why is each]
    families = [family for family in Family if any(f.case.family is family for f in covered)]
    kinds = dict.fromkeys(str(f.kind) for f in covered)
    return f"{', '.join(families)}: {', '.join(kinds)}"

"""Ask nginx again: ``python -m tests.smuggling`` writes its verdicts, and the page of both."""

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.smuggling import nginx
from tests.smuggling.corpus import cases
from tests.smuggling.explained import EXPLAINED
from tests.smuggling.verdicts import Verdict, as_json, from_json, laxer, ours

HERE = Path(__file__).parent
RECORDED = HERE / "nginx.json"
PAGE = HERE.parents[1] / "docs" / "edge-verdicts.md"
HEAD = """# What our server makes of bytes that could be read in two ways

Written by `python -m tests.smuggling`, which needs nginx; {date}, nginx {version} as a plain proxy.
{count} cases; each is what one peer sends on one connection. "Through" counts the calls that
reached the far side. Ours may let through less than nginx and nothing else; where it lets through
more, the case is explained. The test command judges today's code against these verdicts of nginx.

| | cases |
|---|---|
| the same calls through | {same} |
| ours lets fewer through | {stricter} |
| ours lets more through, explained | {explained} |
| ours lets more through, or something else | {open} |

## Explained

| Case | Why it is no danger |
|---|---|
{reasons}

## All cases

| Case | nginx: statuses, through | ours: statuses, through |
|---|---|---|
{rows}
"""


def recorded() -> dict[str, Verdict]:
    return from_json(RECORDED.read_text())


async def all_of_ours() -> dict[str, Verdict]:
    return {case.name: await ours(case) for case in cases()}


def page(theirs: Mapping[str, Verdict], mine: Mapping[str, Verdict], version: str) -> str:
    lax = {name for name in mine if laxer(mine[name], theirs[name])}
    stricter = {name for name in mine if len(mine[name].calls) < len(theirs[name].calls)} - lax
    return HEAD.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        version=version,
        count=len(mine),
        same=len(mine) - len(lax) - len(stricter),
        stricter=len(stricter),
        explained=len(lax & EXPLAINED.keys()),
        open=len(lax - EXPLAINED.keys()),
        reasons="\n".join(f"| `{name}` | {why} |" for name, why in EXPLAINED.items()),
        rows="\n".join(
            f"| `{name.replace('|', '?')}` | {_shown(theirs[name])} | {_shown(mine[name])} |"
            for name in mine
        ),
    )


def _shown(verdict: Verdict) -> str:
    statuses = " ".join(map(str, verdict.statuses[:4])) + (
        " …" if len(verdict.statuses) > 4 else ""
    )
    return f"{statuses or 'none'}, {len(verdict.calls)}"


def main() -> int:
    version = nginx.version()
    if version is None:
        print("There is no nginx here: install it (Debian: nginx-light) and run this again.")
        return 2
    theirs, mine = asyncio.run(nginx.verdicts(cases())), asyncio.run(all_of_ours())
    RECORDED.write_text(as_json(theirs) + "\n")
    PAGE.write_text(page(theirs, mine, version))
    lax = {name: why for name in mine if (why := laxer(mine[name], theirs[name]))}
    for name, why in lax.items():
        print(f"{name}: ours {why}{'' if name in EXPLAINED else '  <-- NOT EXPLAINED'}")
    print(f"{len(mine)} cases, {len(lax.keys() - EXPLAINED.keys())} dangerous")
    return int(bool(lax.keys() - EXPLAINED.keys()))


if __name__ == "__main__":
    sys.exit(main())

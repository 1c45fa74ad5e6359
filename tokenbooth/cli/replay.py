"""``tokenbooth replay``: launches played out on a simulated clock, over the real services."""

from pathlib import Path
from typing import Annotated

import typer

from tokenbooth.cli.options import AsJson, DataDir, group
from tokenbooth.cli.output import EXIT_REFUSED, emit, lines, write_text

app = group("replay", "Launches of a fictional lab on a simulated clock, over the real services.")

BUILDS_RIGHT_MIN_PERMILLE = 950
COVERED_MIN_PERCENT, COVERED_MAX_PERCENT = 75, 85


@app.command("launch-season")
def launch_season(
    html: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("launch-season.html"),
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Play a season from the announcement in April to a bad release that is stopped.

    Nothing in --data-dir is touched. Two runs print the same digest. Exit status 1 when a frame
    does not come out as it must.
    """
    from tokenbooth.proving.launching.season import play_season
    from tokenbooth.proving.launching.season_page import season_page

    season = play_season()
    write_text(html, season_page(season))
    text = [line for frame in season.frames for line in frame.told()]
    emit(
        season.document(),
        as_json=as_json,
        text=lines(*text, f"digest     {season.digest}", f"page       {html}"),
    )
    if not season.passed:
        raise typer.Exit(EXIT_REFUSED)


@app.command("builds")
def builds(
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 1000,
    count: Annotated[int, typer.Option(min=1, max=1000, help="Builds of each sort.")] = 20,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Judge seeded builds: with planted faults, and ready ones. Exit status 1 when a fault passes,
    another one is named first, or more than one ready build in 20 is held back."""
    from tokenbooth.proving.launching.builds import play_builds

    seeds = range(seed, seed + count)
    unready, ready = (play_builds(seeds, ready=each) for each in (False, True))
    wrong = [build for build in (*unready, *ready) if not build.right]
    right = sum(build.right for build in ready)
    passed = all(b.right for b in unready) and right * 1000 >= count * BUILDS_RIGHT_MIN_PERMILLE
    document = {
        "passed": passed,
        "seeds": [seeds.start, seeds.stop - 1],
        "unready": count,
        "unready_no_go_with_the_right_first_blocker": sum(b.right for b in unready),
        "ready": count,
        "ready_go": right,
        "wrong": [
            {
                "seed": b.seed,
                "stage": b.stage.value,
                "planted": {gate: fault.value for gate, fault in b.planted.items()},
                "verdict": b.verdict.value,
                "named": b.named,
            }
            for b in wrong
        ],
    }
    said = [
        f"{sum(b.right for b in unready)} of {count} unready builds: NO-GO, right first blocker"
    ]
    emit(document, as_json=as_json, text=lines(*said, f"{right} of {count} ready builds: GO"))
    if not passed:
        raise typer.Exit(EXIT_REFUSED)


@app.command("forecasts")
def forecasts(
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 1000,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Programmes.")] = 100,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Forecast simulated launch programmes: how often does the 80 % interval hold the true date?

    Programmes without a forecast are counted beside the others. It was set on seeds below 1000.
    Exit status 1 outside 75 to 85 of 100.
    """
    from tokenbooth.proving.launching.programmes import coverage

    trials, unknown = coverage(seed, count)
    covered, late = (sum(getattr(t, name) for t in trials) for name in ("covered", "late"))
    passed = COVERED_MIN_PERCENT <= covered * 100 // count <= COVERED_MAX_PERCENT
    document = {
        "passed": passed,
        "seeds": [seed, seed + count + unknown - 1],
        "programmes": count,
        "covered": covered,
        "later_than_forecast": late,
        "earlier_than_forecast": count - covered - late,
        "no_upper_end_within_two_years": sum(t.found.late_us is None for t in trials),
        "beside_them_without_a_forecast": unknown,
    }
    said = f"{covered} of {count} intervals hold the true date; {late} programmes were later"
    emit(document, as_json=as_json, text=lines(said, f"{unknown} more had no forecast"))
    if not passed:
        raise typer.Exit(EXIT_REFUSED)

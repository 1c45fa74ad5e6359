"""April and May of a season: announced, not ready, fixed, short of capacity."""

from collections.abc import Callable
from functools import partial

from tokenbooth.control import prices
from tokenbooth.control.documents import iso_day
from tokenbooth.control.launch_documents import forecast_line, per_second
from tokenbooth.core.money import format_nano
from tokenbooth.launch.slips.service import Promise, promise
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages.service import Stage, StageAsk
from tokenbooth.money.prices.service import PriceAsk
from tokenbooth.proving.launching.lab import Lab
from tokenbooth.proving.launching.servers import SERVING, capacity, quality
from tokenbooth.proving.launching.show import (
    BEFORE,
    BUSY_MINUTES_A_DAY,
    HOUR_US,
    INPUT_PICO,
    MODEL,
    OUTPUT_PICO,
    SAID_PER_MINUTE,
    SEED,
    SKILL,
    SKILL_BEFORE,
    WAITING_ORGS,
    Show,
    marks_of,
    us_at,
)

# When this lab said what, and when it was so: day of saying, promised, kept.
PAST = (
    (Stage.PRIVATE_PREVIEW, (2025, 2, 3), (2025, 3, 3)),
    (Stage.PRIVATE_PREVIEW, (2025, 3, 3), (2025, 3, 14)),
    (Stage.PUBLIC_PREVIEW, (2025, 3, 18), (2025, 4, 14)),
    (Stage.PUBLIC_PREVIEW, (2025, 4, 14), (2025, 4, 28)),
    (Stage.GA, (2025, 5, 6), (2025, 7, 7)),
    (Stage.GA, (2025, 7, 7), (2025, 7, 21)),
)
KEPT = {
    Stage.WAITLIST: (2025, 1, 6),
    Stage.PRIVATE_PREVIEW: (2025, 3, 17),
    Stage.PUBLIC_PREVIEW: (2025, 5, 5),
    Stage.GA: (2025, 8, 4),
}


def play_past(lab: Lab) -> None:
    """The model before, whose launch slipped as launches of this lab do."""
    lab.offer(BEFORE, {"seed": "0"})
    when: list[tuple[int, Callable[[], None]]] = []
    for stage, said, by in PAST:
        when.append((us_at(*said), partial(_promised, lab, stage, us_at(*by))))
    for stage, day in KEPT.items():
        when.append((us_at(*day) + HOUR_US, partial(_moved, lab, stage)))
    for us, act in sorted(when, key=lambda each: each[0]):
        lab.clock.us = us
        act()
    lab.measured(BEFORE, "quality/1", quality(SEED, SKILL_BEFORE, fault_at=0).body(), days=300)


def _promised(lab: Lab, stage: Stage, by_us: int) -> None:
    with lab.tx() as tx:
        said = Promise(
            model=BEFORE,
            stage=stage,
            promised_us=by_us,
            early_us=None,
            late_us=None,
            reason="the plan",
            said_us=lab.clock.us,
            author="operator",
        )
        promise(lab.op(), tx, said)


def _moved(lab: Lab, stage: Stage) -> None:
    with lab.tx() as tx:
        stages.move(lab.op(), tx, StageAsk(model=BEFORE, stage=stage, reason="on record"))


def announced(show: Show) -> None:
    show.at(4, 7)
    lab = show.lab
    lab.offer(MODEL, {"seed": "1", "chunks": "24"})
    with lab.tx() as tx:
        ask = PriceAsk(MODEL, INPUT_PICO, OUTPUT_PICO)
        prices.price_model(lab.op(), tx, ask, lab.ids, confirmed=True)
    show.move(Stage.WAITLIST)
    said = show.promise(Stage.PRIVATE_PREVIEW, (2026, 4, 28), "said in the announcement")
    early, late = ("unknown" if us is None else iso_day(us) for us in (said.early_us, said.late_us))
    show.frame(
        f"{MODEL} is announced",
        (
            f"{WAITING_ORGS} organizations wait. Promised to partners: {iso_day(said.promised_us)}",
            f"The forecast of that day: between {early} and {late} (80 %).",
        ),
        {"promised_us": said.promised_us, "late_us": said.late_us or 0},
        f"tokenbooth stage promise {MODEL} private_preview --by 2026-04-28 --reason announced",
        passed=said.late_us is not None and said.late_us > said.promised_us,
    )


def not_ready(show: Show) -> None:
    show.at(4, 21)
    found = quality(SEED + 1, SKILL, fault_at=64)
    show.lab.measured(MODEL, "quality/1", found.body())
    show.basics(MODEL)
    report = show.report(Stage.PRIVATE_PREVIEW)
    said = show.promise(Stage.PRIVATE_PREVIEW, (2026, 5, 29), "answers are wrong at batch 64")
    names = [line.gate.name for line in report.blockers]
    show.frame(
        "NO-GO: no certificate, and wrong answers at batch 64",
        (
            (
                f"Batches up to 32 are fine; at {found.first_failing} calls together"
                f" {found.loss_ppm // 1000} of 1,000 answers are lost."
            ),
            f"In the way, the longest first: {', '.join(names)}.",
            (
                f"All gates pass {forecast_line(report)}; the promise moves to"
                f" {iso_day(said.promised_us)}."
            ),
        ),
        {
            "verdict": report.verdict.value,
            "blockers": names,
            "first_failing_batch": found.first_failing,
            "early_us": said.early_us or 0,
            "late_us": said.late_us or 0,
        },
        f"tokenbooth readiness {MODEL} --to private_preview --predecessor {BEFORE}",
        passed=names == ["quality", "capacity"] and said.late_us is not None,
    )


def short_of_capacity(show: Show) -> None:
    show.at(5, 19)
    show.lab.offer(MODEL, {"seed": "2", "chunks": "24"})
    stale = marks_of(show.report(Stage.PRIVATE_PREVIEW))
    found = quality(SEED + 2, SKILL, fault_at=0)
    one = capacity(SEED)
    lab = show.lab
    lab.measured(MODEL, "quality/1", found.body())
    lab.measured(MODEL, "capacity/1", one.body(1), days=7)
    show.basics(MODEL)
    near, far = show.report(Stage.PRIVATE_PREVIEW), show.report(Stage.PUBLIC_PREVIEW)
    marks = marks_of(far)
    cost_nano = _delay_nano()
    show.frame(
        "Fixed, but short of capacity",
        (
            "The new build made the old evidence stale; measured again, every batch is fine.",
            (
                f"One replica is certified for {per_second(one.calls_per_ks)} calls a second."
                f" {WAITING_ORGS} organizations need {far.room.replicas_needed} replicas."
            ),
            f"Each day that they wait costs {format_nano(cost_nano)} USD of calls not sold.",
        ),
        {
            "stale": [name for name, mark in stale.items() if mark == "stale"],
            "private": near.verdict.value,
            "public": far.verdict.value,
            "capacity": marks["capacity"],
            "calls_per_ks": one.calls_per_ks,
            "replicas_needed": far.room.replicas_needed,
            "delay_nano": cost_nano,
        },
        f"tokenbooth readiness {MODEL} --to public_preview --population {WAITING_ORGS}"
        f" --demand-rpm {SAID_PER_MINUTE}",
        passed=near.verdict.value == "GO"
        and marks["capacity"] == "fail"
        and stale["quality"] == "stale",
    )


def _delay_nano() -> int:
    """What the waiting organizations would pay in a day, at the lengths of the lab's workload."""
    workload = SERVING.workload
    input_pico = workload.input.mean_tokens() * INPUT_PICO
    call_nano = (input_pico + workload.output.mean_tokens() * OUTPUT_PICO) // 1000
    return WAITING_ORGS * SAID_PER_MINUTE * BUSY_MINUTES_A_DAY * call_nano

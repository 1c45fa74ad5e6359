"""What a season is told in: frames, and the lab that they play in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from tokenbooth.control import launching
from tokenbooth.control.documents import iso_day
from tokenbooth.control.launch_report import ReadinessAsk
from tokenbooth.core.days import US_PER_DAY, day_at
from tokenbooth.launch.readiness.service import Report
from tokenbooth.launch.slips.service import Promise
from tokenbooth.launch.stages.service import Stage, StageAsk
from tokenbooth.proving.launching.lab import Lab, digest_of

SEED = 2026
MODEL, BEFORE, NEXT = "aster-1", "aster-0", "aster-1-next"
WAITING_ORGS, BUSY_MINUTES_A_DAY, SAID_PER_MINUTE = 120, 90, 10
PARTNERS = ("blue-harbor", "north-ferry", "quill")
ATTACKER = PARTNERS[1]
COHORT, COHORT_CAP_NANO = "partners", 400_000_000
TRAFFIC_MINUTES = 40
ATTACK_CALLS = 400
SKILL_BEFORE, SKILL = 0.92, 0.95
INPUT_PICO, OUTPUT_PICO = 3_000_000, 12_000_000
HOUR_US = 3_600_000_000
Day = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """One day of the season. ``facts`` are what the digest is of, ``passed`` whether it came out as
    it must, ``command`` what an operator would type to see the same on a booth."""

    day: str
    title: str
    said: tuple[str, ...]
    facts: Mapping[str, object]
    command: str
    passed: bool

    def told(self) -> list[str]:
        mark = "" if self.passed else "  DID NOT COME OUT"
        return [
            f"{self.day}  {self.title}{mark}",
            *(f"            {each}" for each in self.said),
            f"            $ {self.command}",
        ]


@dataclass
class Season:
    """The frames so far."""

    frames: list[Frame] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return bool(self.frames) and all(frame.passed for frame in self.frames)

    @property
    def digest(self) -> str:
        """The same for every run."""
        return digest_of([[f.day, f.title, list(f.said), dict(f.facts)] for f in self.frames])

    def document(self) -> dict[str, object]:
        return {
            "object": "launch_season",
            "passed": self.passed,
            "digest": self.digest,
            "frames": [
                {
                    "day": f.day,
                    "title": f.title,
                    "said": list(f.said),
                    "facts": dict(f.facts),
                    "command": f.command,
                    "passed": f.passed,
                }
                for f in self.frames
            ],
        }


@dataclass
class Show:
    lab: Lab
    season: Season
    secrets: dict[str, str] = field(default_factory=dict)

    def at(self, month: int, day: int, hour: int = 9) -> None:
        self.lab.clock.us = us_at(2026, month, day) + hour * HOUR_US

    def frame(
        self,
        title: str,
        said: tuple[str, ...],
        facts: Mapping[str, object],
        command: str,
        *,
        passed: bool,
    ) -> None:
        day = iso_day(self.lab.clock.us)
        self.season.frames.append(Frame(day, title, said, facts, command, passed))

    def ask(self, stage: Stage, model: str = MODEL) -> ReadinessAsk:
        return ReadinessAsk(
            model=model,
            stage=stage,
            population=3 if stage is Stage.PRIVATE_PREVIEW else WAITING_ORGS,
            demand_per_minute=SAID_PER_MINUTE,
            predecessor=BEFORE,
        )

    def report(self, stage: Stage, model: str = MODEL) -> Report:
        return self.lab.report(self.ask(stage, model))

    def move(self, stage: Stage, model: str = MODEL) -> Report | None:
        lab, ask = self.lab, StageAsk(model=model, stage=stage)
        with lab.tx() as tx:
            how = self.ask(stage, model)
            return launching.set_stage(lab.op(), tx, ask, how, lab.desk)[1]

    def promise(self, stage: Stage, by: Day, reason: str) -> Promise:
        with self.lab.tx() as tx:
            return launching.promise(
                self.lab.op(), tx, self.ask(stage), us_at(*by), reason, self.lab.desk
            )

    def basics(self, model: str) -> None:
        """What the lab's nightly runs measure, all of it good."""
        measured = partial(self.lab.measured, model)
        measured("conformance/1", {"core_failed": 0, "core_passed": 14, "all_failed": 0})
        measured("billing/1", {"difference_nano": 0, "overshoot_nano": 0, "calls": 250_000})
        measured("rollback/1", {"seconds": 95}, days=90)
        measured("documents/1", {"missing": 0, "reviewed_days_ago": 3}, days=90)


def us_at(year: int, month: int, day: int) -> int:
    return day_at(year, month, day) * US_PER_DAY


def marks_of(report: Report) -> dict[str, str]:
    return {line.gate.name: line.outcome.mark.value for line in report.lines}

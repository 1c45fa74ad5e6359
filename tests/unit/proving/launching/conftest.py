"""A booth of a fictional lab with one model on its waitlist, and a way to make it ready."""

from collections.abc import Callable, Iterator
from random import Random

import pytest

from tests.support.ops import START_US
from tests.support.stores import lay_out
from tokenbooth.control.launch_report import ReadinessAsk
from tokenbooth.launch.stages.service import Stage, gated_edges
from tokenbooth.proving.launching.builds import body_for
from tokenbooth.proving.launching.lab import Lab, open_lab

MakeReady = Callable[[Stage], ReadinessAsk]


@pytest.fixture
def lab() -> Iterator[Lab]:
    with open_lab(7, START_US, lay_out) as opened:
        opened.offer("demo", {})
        yield opened


@pytest.fixture
def make_ready(lab: Lab) -> MakeReady:
    """Measures all that the gates up to a stage ask for, and returns the question."""

    def make(stage: Stage) -> ReadinessAsk:
        policy = lab.desk.policy
        asked = {
            gate.name: gate
            for edge in gated_edges(Stage.CLOSED, stage)
            for gate in policy.edges[edge]
        }
        for gate in asked.values():
            lab.measured("demo", gate.kind, body_for(gate, Random(1), short=False), days=60)
        lab.clock.us += 1
        return ReadinessAsk(model="demo", stage=stage, population=20, demand_per_minute=30)

    return make

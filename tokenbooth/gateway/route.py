"""Step 8, run: the candidates in order, another one only before the first output."""

from dataclasses import replace
from functools import partial

from tokenbooth.admission.entry.service import Place
from tokenbooth.core.codes import Code
from tokenbooth.core.noun import noun
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.core.turn import Turn
from tokenbooth.gateway.call_cover import CallCover
from tokenbooth.gateway.checked import Checked
from tokenbooth.gateway.covered import CoveredRun
from tokenbooth.gateway.grant import Candidate, Grant
from tokenbooth.gateway.relay import Relay
from tokenbooth.gateway.rooms import Rooms
from tokenbooth.money.leases.service import Hold


class Seat:
    """The place in front of one deployment; changed when the call moves to another."""

    def __init__(self) -> None:
        self._place: Place | None = None

    @property
    def place(self) -> Place:
        assert self._place is not None, "asked before it was taken"
        return self._place

    def take(self, place: Place) -> None:
        self.leave()
        self._place = place

    def heeds(self, relay: Relay) -> None:
        """Follow the output of the run that the place is for."""
        place = self.place
        place.progress = partial(_counted_tokens, relay)
        relay.heard_first = place.first

    def leave(self) -> None:
        if self._place is not None:
            self._place.leave()


@noun
class Course:
    """What one call is run with: its hold, the relay of its answer, and the money under it."""

    hold: Hold
    relay: Relay
    cover: CallCover


async def run(rooms: Rooms, grant: Grant, course: Course, seat: Seat) -> None:
    """Returns when the call has ended and the engine has let go of it."""
    relay = course.relay
    turn = grant.parsed.turn
    if turn.output_tokens_max != course.hold.output_tokens_max:
        turn = replace(turn, output_tokens_max=course.hold.output_tokens_max)
    stop_at_us = rooms.clock.monotonic_us() + rooms.options.run_max_s * 1_000_000
    seat.heeds(relay)
    await _run_once(rooms, grant, turn, course, stop_at_us)
    for candidate in grant.candidates[1:]:
        if not relay.retry() or not await _moved(rooms, seat, candidate, relay):
            return
        another = replace(grant, candidates=(candidate,))
        await _run_once(rooms, another, turn, course, stop_at_us)


async def _moved(rooms: Rooms, seat: Seat, candidate: Candidate, relay: Relay) -> bool:
    if rooms.shares is not None:
        await rooms.shares.cover_place(candidate.deployment)
    try:
        place = seat.place.elsewhere()
        await rooms.gates.enter(candidate.deployment, place, wait_max_s=0)
    except Problem as problem:
        relay.failed(problem)
        return False
    seat.take(place)
    seat.heeds(relay)
    return True


async def _run_once(
    rooms: Rooms, grant: Grant, turn: Turn, course: Course, stop_at_us: int
) -> None:
    """By the first candidate of ``grant``."""
    candidate = grant.candidates[0]
    options, relay = rooms.options, course.relay
    relay.deployment_id = candidate.deployment.id
    if grant.parsed.stream or not grant.shape.to_check:
        CoveredRun(relay, course.cover).start(candidate.engine, turn)
    else:
        Checked(relay, course.cover, grant.shape, course.hold).start(candidate.engine, turn)
    while True:
        left_s = (stop_at_us - rooms.clock.monotonic_us()) / 1_000_000
        if left_s <= 0:
            relay.stop(Outcome.TIMED_OUT, _too_slow(options.run_max_s))
        if await relay.wait_end(max(0.0, min(left_s, options.heartbeat_s))):
            break
        relay.beat(options.heartbeat_s * 1_000_000)
    await relay.wait_over(options.cancel_wait_max_s)


def _counted_tokens(relay: Relay) -> int:
    """Output so far by the engine's count alone."""
    return relay.counted


def _too_slow(run_max_s: int) -> Problem:
    return Problem(
        Code.RUN_TIMEOUT,
        f"The call ran longer than {run_max_s} s; stream it, or lower its output limit.",
    )

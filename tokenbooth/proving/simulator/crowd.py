"""What callers and engines do: ask, stream, end, hang up."""

from tokenbooth.core.caller import Caller
from tokenbooth.core.receipt import Outcome
from tokenbooth.proving.simulator.call import Call, End, Plan, Stage
from tokenbooth.proving.simulator.coverage import Turn
from tokenbooth.proving.simulator.machine import Gateway
from tokenbooth.proving.simulator.world import World

ENDS = (
    Outcome.COMPLETED,
    Outcome.COMPLETED,
    Outcome.COMPLETED,
    Outcome.CLIENT_GONE,
    Outcome.KEY_REVOKED,
    Outcome.TIMED_OUT,
    Outcome.ENGINE_FAILED,
)
CALLS_AT_ONCE = 12


class Crowd:
    """All callers of this world, two keys for each of two projects of two organizations."""

    def __init__(self, world: World) -> None:
        self._world = world
        both = (1, 2)
        self.callers = [
            _caller(org, project, key) for org in both for project in both for key in both
        ]

    def ask(self) -> None:
        """One more call, unless too many run already."""
        world, dice = self._world, self._world.dice
        running = sum(not call.over for call in world.calls.values())
        if not world.serving or running >= CALLS_AT_ONCE:
            return
        plan = Plan(
            request_id=f"req_{world.number():05}",
            caller=dice.one_of(self.callers),
            input_tokens=dice.between(1, 20),
            output_tokens=dice.between(0, 40) if dice.chance(90) else 4_000,
            choices=1 if dice.chance(80) else dice.between(2, 3),
            stream=dice.chance(70),
            stated=dice.chance(60),
            strict=dice.chance(15),
        )
        world.ask(dice.one_of(world.serving), plan)

    def move(self) -> None:
        """One call goes on by some tokens, notes its progress, or ends."""
        world, dice = self._world, self._world.dice
        idle = [call for call in world.calls.values() if call.idle and call.gateway.serving]
        if not idle:
            self.ask()
            return
        call = dice.one_of(idle)
        left = call.ceiling_tokens - call.delivered
        if dice.chance(25) or (left == 0 and dice.chance(50)):
            self.end(call)
        elif dice.chance(35) or left == 0:
            world.order(call, 0)
        else:
            world.order(call, dice.between(1, min(left, 12)))

    def end(self, call: Call) -> None:
        """Mostly with what was delivered; at times the engine says more or less than it sent."""
        dice = self._world.dice
        tokens = call.delivered
        if dice.chance(15):
            tokens = dice.between(0, tokens)
        elif dice.chance(10):
            tokens += dice.between(1, 8)
        self._world.order(call, End(dice.one_of(ENDS), call.plan.input_tokens, tokens))

    def end_all(self, gateway: Gateway) -> None:
        for call in list(self._world.calls_of(gateway)):
            if call.idle:
                self.end(call)

    def hang_up(self) -> None:
        """Somebody who waits for money does not wait any longer."""
        asking = [c for c in self._world.calls.values() if c.stage is Stage.ASKING]
        if asking:
            call = self._world.dice.one_of(asking)
            if call.task is not None and call.gateway.serving:
                call.task.cancel()
                self._world.coverage.reach(Turn.HUNG_UP)


def _caller(org: int, project: int, key: int) -> Caller:
    return Caller(f"org_{org}", f"project_{org}{project}", f"key_{org}{project}{key}", frozenset())

"""Many seeds at once: processes of our own in which a seed means the same life every time."""

import contextlib
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from tokenbooth.config import child_environment
from tokenbooth.proving.simulator.coverage import LISTED, missing
from tokenbooth.proving.simulator.play import Played

WORKER = "tokenbooth.proving.simulator.worker"


@dataclass(slots=True)
class Found:
    """What all seeds found together; ``violations`` are by seed."""

    seeds: int = 0
    operations: int = 0
    calls: int = 0
    violations: dict[int, tuple[str, ...]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def passed(self) -> bool:
        return not self.violations

    @property
    def unreached(self) -> tuple[str, ...]:
        """Listed places that no seed came to."""
        return missing(self.counts)

    @property
    def coverage(self) -> dict[str, int]:
        """How often each listed place was reached, in the order of the list."""
        return {str(place): self.counts[str(place)] for place in LISTED}

    def add(self, played: Played, operations: int) -> None:
        self.seeds += 1
        self.operations += operations
        self.calls += played.calls
        self.counts.update(played.counts)
        if played.violations:
            self.violations[played.seed] = played.violations

    def document(self) -> dict[str, object]:
        """For JSON; the coverage in the order of the list."""
        return {
            "passed": self.passed,
            "seeds": self.seeds,
            "operations": self.operations,
            "calls": self.calls,
            "violations": {str(seed): list(texts) for seed, texts in self.violations.items()},
            "unreached": list(self.unreached),
            "coverage": self.coverage,
        }


@dataclass(frozen=True, slots=True)
class Order:
    """``seeds`` lives from ``first`` on, so many operations each."""

    first: int
    seeds: int
    operations: int
    workers: int


def play_fleet(order: Order, told: Callable[[Found], None]) -> Found:
    """Play all seeds of the order; ``told`` hears after each. Raises RuntimeError when a worker
    breaks, which is a fault of the simulator itself."""
    found, lock = Found(), threading.Lock()
    broken: list[str] = []

    def listen(child: "subprocess.Popen[bytes]") -> None:
        assert child.stdout is not None
        for line in child.stdout:
            played = msgspec.json.decode(line, type=Played)
            with lock:
                found.add(played, order.operations)
                told(found)
        if child.wait():
            broken.append(f"a worker ended with status {child.returncode}")

    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(_Worker(order, n)) for n in range(order.workers)]
        listeners = [threading.Thread(target=listen, args=(child,)) for child in children]
        for listener in listeners:
            listener.start()
        for listener in listeners:
            listener.join()
    if broken:
        raise RuntimeError(broken[0])
    return found


class _Worker:
    """One process, killed on every way out."""

    def __init__(self, order: Order, number: int) -> None:
        count = len(range(number, order.seeds, order.workers))
        numbers = {
            "--first": order.first + number,
            "--count": count,
            "--step": order.workers,
            "--operations": order.operations,
        }
        words = [word for name, value in numbers.items() for word in (name, str(value))]
        # The order in which sets are walked must not depend on chance.
        fixed = {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
        self._child = subprocess.Popen(  # noqa: S603  our own interpreter
            [sys.executable, "-m", WORKER, *words],
            stdout=subprocess.PIPE,
            env=child_environment(fixed),
        )

    def __enter__(self) -> "subprocess.Popen[bytes]":
        return self._child

    def __exit__(self, *_error: object) -> None:
        self._child.kill()
        self._child.wait()
        assert self._child.stdout is not None
        self._child.stdout.close()

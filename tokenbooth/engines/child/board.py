"""One child that several engines use: each by a port of its own, with numbers of its own."""

import itertools
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from tokenbooth.core.problem import Problem
from tokenbooth.engines.child.frames import (
    Begin,
    Cancel,
    Count,
    Counted,
    Over,
    Piece,
    Ready,
    Refused,
    Step,
    ToChild,
)
from tokenbooth.engines.child.supervisor import ChildListener, ChildPlan, Supervisor

Item: TypeAlias = Piece | Over | Refused | Counted


class Board:
    """Listens to the child for all ports. ``supervise`` exists for tests."""

    def __init__(self, plan: ChildPlan, supervise: Callable[..., Supervisor] = Supervisor) -> None:
        self._supervisor = supervise(plan, self)
        self._supervisor.stands = self._stood
        self._numbers = itertools.count(1)
        self._ports: list[Port] = []
        self._users: dict[int, tuple[Port, int]] = {}
        self._ready: Ready | None = None

    @property
    def supervisor(self) -> Supervisor:
        return self._supervisor

    @property
    def busy(self) -> bool:
        """Whether any port is owed an answer."""
        return bool(self._users)

    def port(self, listener: ChildListener) -> "Port":
        """Another user of the child."""
        port = Port(self, listener)
        self._ports.append(port)
        return port

    async def open(self) -> Ready:
        """Start the child, or wait until it has started."""
        if self._ready is None:
            self._ready = await self._supervisor.open()
        return self._ready

    async def leave(self, port: "Port") -> None:
        """Its runs are cancelled; the child ends with its last user."""
        for number in [n for n, (user, _) in self._users.items() if user is port]:
            del self._users[number]
            if self._supervisor.ready:
                self._supervisor.send(Cancel(number))
        if port in self._ports:
            self._ports.remove(port)
        if not self._ports:
            self._ready = None
            await self._supervisor.close()

    def send(self, port: "Port", message: ToChild) -> None:
        """Raises what ``Supervisor.send`` raises."""
        if isinstance(message, Begin | Count):
            number = next(self._numbers)
            mine = message.run if isinstance(message, Begin) else message.ask
            renamed = {"run": number} if isinstance(message, Begin) else {"ask": number}
            self._supervisor.send(msgspec.structs.replace(message, **renamed))
            self._users[number] = port, mine
        elif isinstance(message, Cancel):
            for number, user in self._users.items():
                if user == (port, message.run):
                    self._supervisor.send(Cancel(number))

    # What the child tells.

    def heard(self, step: Step) -> None:
        told: dict[Port, _Parts] = {}
        for piece in step.pieces:
            self._tell(told, piece.run, piece, ends=False)
        for over in step.over:
            self._tell(told, over.run, over, ends=True)
        for refused in step.refused:
            self._tell(told, refused.run, refused, ends=True)
        for counted in step.counted:
            self._tell(told, counted.ask, counted, ends=True)
        for port, parts in told.items():
            port.listener.heard(parts.step())

    def lost(self, reason: str) -> None:
        self._users.clear()
        for port in tuple(self._ports):
            port.listener.lost(reason)

    def _stood(self) -> None:
        for port in tuple(self._ports):
            port.ready_again()

    def _tell(self, told: "dict[Port, _Parts]", number: int, item: Item, *, ends: bool) -> None:
        user = self._users.get(number)
        if user is None:
            return
        if ends:
            del self._users[number]
        port, mine = user
        told.setdefault(port, _Parts()).add(item, mine)


class _Parts:
    """What of one step is for one port."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._over: list[Over] = []
        self._refused: list[Refused] = []
        self._counted: list[Counted] = []

    def add(self, item: Item, number: int) -> None:
        """Under its number there."""
        if isinstance(item, Piece):
            self._pieces.append(msgspec.structs.replace(item, run=number))
        elif isinstance(item, Over):
            self._over.append(msgspec.structs.replace(item, run=number))
        elif isinstance(item, Refused):
            self._refused.append(msgspec.structs.replace(item, run=number))
        else:
            self._counted.append(msgspec.structs.replace(item, ask=number))

    def step(self) -> Step:
        return Step(
            tuple(self._pieces), tuple(self._over), tuple(self._refused), tuple(self._counted)
        )


class Port:
    """As a ``Supervisor`` of its own."""

    def __init__(self, board: Board, listener: ChildListener) -> None:
        self._board = board
        self.listener = listener
        self.ready_again: Callable[[], None] = _nobody

    @property
    def restarts(self) -> int:
        return self._board.supervisor.restarts

    @property
    def pid(self) -> int | None:
        return self._board.supervisor.pid

    @property
    def ready(self) -> bool:
        return self._board.supervisor.ready

    @property
    def reason(self) -> str:
        return self._board.supervisor.reason

    def not_ready(self) -> Problem:
        return self._board.supervisor.not_ready()

    async def open(self) -> Ready:
        try:
            return await self._board.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self._board.leave(self)

    def send(self, message: ToChild) -> None:
        self._board.send(self, message)


def _nobody() -> None:
    """Nobody wants to know."""

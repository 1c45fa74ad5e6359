"""The table of what is served: permission and reach stand on the route, never on a path string."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from tokenbooth.core.op import Op
from tokenbooth.core.ports import Body, CallHead, Calls, Sink, Talk
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.dialect import Answer

Refusal = Callable[[Problem, str], Answer]
Endpoint = Callable[[Op, CallHead, Body, Sink], Awaitable[None]]
TalkEndpoint = Callable[[Op, CallHead, Talk, Calls], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """``pattern`` is a path whose ``{name}`` segments match one segment each.

    ``loopback_only`` hides the route (404) from peers on other machines. ``refusal`` words what
    goes wrong before or around the endpoint in the route's own dialect.
    """

    method: str
    pattern: str
    endpoint: Endpoint
    loopback_only: bool = False
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class TalkRoute:
    """What an upgrade to a WebSocket at ``path`` leads to; elsewhere it is declined.

    ``refusal`` words what goes wrong before the upgrade, and before the endpoint of a call on it.
    """

    path: str
    endpoint: TalkEndpoint
    refusal: Refusal
    text_bytes_max: int


@dataclass(frozen=True, slots=True)
class Match:
    """``route`` is ``None`` when only the method does not fit; ``allowed`` are those that do, and
    ``refusal`` words it as at the path's other methods."""

    route: Route | None
    path_values: Mapping[str, str]
    allowed: tuple[str, ...]
    refusal: Refusal | None


class RouteTable:
    """Exact paths are found by one look-up, patterned ones by their segments."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterned: list[tuple[tuple[str, ...], dict[str, Route]]] = []
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        if "{" not in route.pattern:
            self._exact.setdefault(route.pattern, {})[route.method] = route
            return
        segments = tuple(route.pattern.split("/"))
        for known, methods in self._patterned:
            if known == segments:
                methods[route.method] = route
                return
        self._patterned.append((segments, {route.method: route}))

    def match(self, method: str, path: str) -> Match | None:
        """``None`` when nothing is served at the path at all; HEAD is answered where GET is."""
        methods, values = self._find(path)
        if methods is None:
            return None
        route = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
        allowed = {*methods, "HEAD"} if "GET" in methods else {*methods}
        refusal = (route or next(iter(methods.values()))).refusal
        return Match(route, values, tuple(sorted(allowed)), refusal)

    def _find(self, path: str) -> tuple[dict[str, Route] | None, dict[str, str]]:
        exact = self._exact.get(path)
        if exact is not None:
            return exact, {}
        segments = path.split("/")
        for pattern, methods in self._patterned:
            if len(pattern) == len(segments):
                values = _values(pattern, segments)
                if values is not None:
                    return methods, values
        return None, {}


def _values(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if expected.startswith("{") and segment:
            values[expected[1:-1]] = segment
        elif expected != segment:
            return None
    return values

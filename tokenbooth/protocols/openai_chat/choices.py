"""The state of one choice while its answer is written, the same for both ways of writing.

Guards the wire against an engine that breaks its word: tool calls are renumbered from 0 in order
of appearance, a missing call id is made up from the request id, a name or id sent twice is kept
once, and nothing counts after the finish.
"""

import math
from collections.abc import Collection, Sequence

from tokenbooth.core.delta import Delta, FinishReason, TokenLogprob, ToolCallDelta
from tokenbooth.protocols.custom_tools import custom_input

Json = dict[str, object]

TOOL_CALLS_MAX = 128
LOGPROB_MIN = -9999.0


class ToolCallState:
    """One tool call of a choice: what is known of it so far. ``customs`` are the names of custom
    tools, whose input is known only when their arguments are whole."""

    __slots__ = ("_customs", "arguments", "id", "name", "place")

    def __init__(self, place: int, call_id: str, customs: Collection[str]) -> None:
        self.place = place
        self.id = call_id
        self.name = ""
        self.arguments: list[str] = []
        self._customs = customs

    @property
    def custom(self) -> bool:
        return self.name in self._customs

    def add(self, piece: ToolCallDelta, *, first: bool) -> Json | None:
        """Keep the piece; returns its wire form, where it has one by now."""
        self.arguments.append(piece.arguments)
        if self.custom:
            return None
        if first and piece.name and piece.name in self._customs:
            self.name = piece.name
            return {"index": self.place, "id": self.id, "type": "custom", **self._custom("")}
        function: Json = {"arguments": piece.arguments}
        if first or (piece.name and not self.name):
            self.name = piece.name or ""
            function = {"name": self.name, **function}
        if not first:
            return {"index": self.place, "function": function}
        return {"index": self.place, "id": self.id, "type": "function", "function": function}

    def rest(self) -> Json:
        """The input of a custom tool as a piece."""
        return {"index": self.place, "custom": {"input": self._input()}}

    def whole(self) -> Json:
        if self.custom:
            return {"id": self.id, "type": "custom", **self._custom(self._input())}
        function = {"name": self.name, "arguments": "".join(self.arguments)}
        return {"id": self.id, "type": "function", "function": function}

    def _custom(self, text: str) -> Json:
        return {"custom": {"name": self.name, "input": text}}

    def _input(self) -> str:
        return custom_input("".join(self.arguments))


class ChoiceState:
    """One choice: ``finish`` is set once, by the engine or at the end of the run."""

    __slots__ = ("_calls", "_customs", "_request_id", "begun", "finish", "index", "texted")

    def __init__(self, index: int, request_id: str, customs: Collection[str]) -> None:
        self._customs = customs
        self.index = index
        self.begun = False
        self.texted = False
        self.finish: FinishReason | None = None
        self._request_id = request_id
        self._calls: dict[int, ToolCallState] = {}

    def call_piece(self, piece: ToolCallDelta) -> Json | None:
        """The wire form of a piece; None for a call beyond the bound."""
        known = self._calls.get(piece.index)
        if known is not None:
            return known.add(piece, first=False)
        place = len(self._calls)
        if place == TOOL_CALLS_MAX:
            return None
        call_id = piece.id or f"call_{self._request_id}_{self.index}_{place}"
        made = self._calls[piece.index] = ToolCallState(place, call_id, self._customs)
        return made.add(piece, first=True)

    @property
    def has_calls(self) -> bool:
        return bool(self._calls)

    def custom_rest(self) -> list[Json]:
        """What a stream still owes of the calls of custom tools."""
        return [call.rest() for call in self._calls.values() if call.custom]

    def whole_calls(self) -> list[Json]:
        return [call.whole() for call in self._calls.values()]

    def end(self, *, cancelled: bool) -> FinishReason:
        """The finish of a choice for which the engine sent none.

        ``length`` when the run was cut short, else ``tool_calls`` or ``stop`` by what it said.
        """
        if cancelled:
            self.finish = FinishReason.LENGTH
        else:
            self.finish = FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP
        return self.finish


class ChoiceBook:
    """The choices that the caller asked for; deltas for any other one are dropped."""

    def __init__(self, count: int, request_id: str, customs: Collection[str] = ()) -> None:
        self.states = [ChoiceState(index, request_id, customs) for index in range(count)]

    def open_choice(self, delta: Delta) -> ChoiceState | None:
        if 0 <= delta.choice < len(self.states):
            state = self.states[delta.choice]
            return state if state.finish is None else None
        return None


def logprobs_json(items: Sequence[TokenLogprob]) -> list[Json]:
    """The ``content`` list of a ``logprobs`` object."""
    return [
        {
            **_token_json(item.text, item.logprob),
            "top_logprobs": [_token_json(text, value) for text, value in item.alternatives],
        }
        for item in items
    ]


def _token_json(text: str, logprob: float) -> Json:
    value = logprob if math.isfinite(logprob) else LOGPROB_MIN
    return {"token": text, "logprob": value, "bytes": list(text.encode("utf-8", "surrogatepass"))}

"""Deltas to output items: the one fold behind both ways of writing an answer.

An assistant speaks in one item at a time, a message or its reasoning; another kind of output closes
it. Calls of tools may grow side by side and stay open to the end. Guards the wire against an engine
that breaks its word: a call without an id, or with one that was used before, gets one from the
request id, a name sent twice is kept once, and nothing counts after the finish.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tokenbooth.core.delta import Delta, FinishReason, ToolCallDelta
from tokenbooth.protocols.custom_tools import custom_input
from tokenbooth.protocols.openai_responses.events import Events, Json
from tokenbooth.protocols.openai_responses.parts import (
    OUTPUT_TEXT,
    REASONING_TEXT,
    REFUSAL,
    SUMMARY_TEXT,
    Part,
    PartKind,
)
from tokenbooth.protocols.openai_responses.tools import Called

TOOL_CALLS_MAX = 128
RUNNING, COMPLETED, INCOMPLETE = "in_progress", "completed", "incomplete"
SPOKEN_IDS = {"message": "msg", "reasoning": "rs"}


@dataclass(frozen=True, slots=True)
class Form:
    """What an answer looks like: ``core_id`` is in the ids of its items, and ``tools`` are known by
    the names that the model knows. ``seal`` hides reasoning from all but the booth."""

    core_id: str
    tools: Mapping[str, Called]
    summarized: bool
    logprobs: bool
    seal: Callable[[str], str] | None = None

    def item_id(self, prefix: str, place: int) -> str:
        return f"{prefix}_{self.core_id}_{place}"


class Item(Protocol):
    """One output item; it leaves ``in_progress`` once, told by events or without them."""

    open: bool

    def close(self, status: str) -> None: ...

    def leave(self, status: str) -> None: ...

    def whole(self) -> Json: ...


class Spoken:
    """A message, or reasoning: parts one after the other."""

    def __init__(self, form: Form, name: str, place: int, events: Events) -> None:
        self.name = name
        self.open = True
        self._id = form.item_id(SPOKEN_IDS[name], place)
        self._place = place
        self._events = events
        self._seal = form.seal
        self._sealed: str | None = None
        self._status = RUNNING
        self._parts: list[Part] = []
        events.add("response.output_item.added", {"output_index": place, "item": self.whole()})

    def part(self, kind: PartKind) -> Part:
        """The open part, of this kind."""
        if self._parts and self._parts[-1].kind is kind:
            return self._parts[-1]
        if self._parts:
            self._parts[-1].close()
        where: Json = {"item_id": self._id, "output_index": self._place}
        self._parts.append(Part(kind, {**where, kind.index: len(self._parts)}, self._events))
        return self._parts[-1]

    def close(self, status: str) -> None:
        self._parts[-1].close()
        self.leave(status)
        if self.name == "reasoning" and self._seal is not None:
            self._sealed = self._seal("".join(part.text for part in self._parts))
        self._events.add(
            "response.output_item.done", {"output_index": self._place, "item": self.whole()}
        )

    def leave(self, status: str) -> None:
        self.open = False
        self._status = status

    def whole(self) -> Json:
        head: Json = {"id": self._id, "type": self.name, "status": self._status}
        if self.name == "message":
            content = [part.whole() for part in self._parts]
            return {**head, "role": "assistant", "phase": None, "content": content}
        summary = [part.whole() for part in self._parts if part.kind is SUMMARY_TEXT]
        content = [part.whole() for part in self._parts if part.kind is not SUMMARY_TEXT]
        return {**head, "summary": summary, "content": content, "encrypted_content": self._sealed}


class Call:
    """A call of a tool; it waits for its name before it is an item.

    The input of a custom tool is one string inside the arguments of a function, so that it is
    known, and told, only when no more of it can come.
    """

    def __init__(self, call_id: str, events: Events) -> None:
        self.begun = False
        self.open = True
        self._call_id = call_id
        self._events = events
        self._pieces: list[str] = []
        self._status = RUNNING
        self._where: Json = {}
        self._tool = Called("")

    def begin(self, tool: Called, item_id: str, place: int) -> None:
        self.begun = True
        self._tool = tool
        self._where = {"item_id": item_id, "output_index": place}
        early = "".join(self._pieces)
        self._pieces.clear()
        self._tell_item("added")
        self.add(early)

    def add(self, text: str) -> None:
        if not text:
            return
        self._pieces.append(text)
        if self.begun and not self._tool.custom:
            self._tell("delta", "delta", text)

    def close(self, status: str) -> None:
        self.leave(status)
        self._tell("done", "input" if self._tool.custom else "arguments", self._said())
        self._tell_item("done")

    def leave(self, status: str) -> None:
        self.open = False
        self._status = status
        untold = self._said() if self._tool.custom else ""
        if untold:
            self._tell("delta", "delta", untold)

    def whole(self) -> Json:
        said = self._said() if not (self._tool.custom and self.open) else ""
        made: Json = {
            "id": self._where["item_id"],
            "type": "custom_tool_call" if self._tool.custom else "function_call",
            "status": self._status,
            "call_id": self._call_id,
            "name": self._tool.name,
            "input" if self._tool.custom else "arguments": said,
        }
        if self._tool.namespace is not None:
            made["namespace"] = self._tool.namespace
        return made

    def _said(self) -> str:
        arguments = "".join(self._pieces)
        return custom_input(arguments) if self._tool.custom else arguments

    def _tell(self, step: str, name: str, text: str) -> None:
        event = "custom_tool_call_input" if self._tool.custom else "function_call_arguments"
        self._events.add(f"response.{event}.{step}", {**self._where, name: text})

    def _tell_item(self, step: str) -> None:
        place = self._where["output_index"]
        fields: Json = {"output_index": place, "item": self.whole()}
        self._events.add(f"response.output_item.{step}", fields)


class Output:
    """The items of an answer, in order of appearance."""

    def __init__(self, form: Form, events: Events) -> None:
        self.finish: FinishReason | None = None
        self._form = form
        self._events = events
        self._items: list[Item] = []
        self._spoken: Spoken | None = None
        self._last: Item | None = None
        self._calls: dict[int, Call] = {}
        self._call_ids: set[str] = set()

    def take(self, delta: Delta) -> None:
        """Nothing after the finish counts, and nothing of another choice than the first."""
        if self.finish is not None or delta.choice != 0:
            return
        if delta.reasoning:
            kind = SUMMARY_TEXT if self._form.summarized else REASONING_TEXT
            self._speaking("reasoning").part(kind).add(delta.reasoning)
        # The probabilities of a step that says nothing else belong to the text.
        lone = not (delta.reasoning or delta.refusal or delta.tool_call)
        logprobs = delta.logprobs if self._form.logprobs and (delta.text or lone) else ()
        if delta.text or logprobs:
            self._speaking("message").part(OUTPUT_TEXT).add(delta.text, logprobs)
        if delta.refusal:
            self._speaking("message").part(REFUSAL).add(delta.refusal)
        if delta.tool_call is not None:
            self._called(delta.tool_call)
        if delta.finish is not None:
            self.end(delta.finish)

    def end(self, finish: FinishReason) -> None:
        """Close what is open; where the answer was cut short, what was said last is incomplete."""
        self.finish = finish
        for call in self._calls.values():
            if not call.begun:
                self._begin(call, "")
        cut = finish in (FinishReason.LENGTH, FinishReason.CONTENT_FILTER)
        for item in self._items:
            if item.open:
                item.close(INCOMPLETE if cut and item is self._last else COMPLETED)

    def end_unsaid(self, *, cancelled: bool) -> FinishReason:
        """The finish of an answer; where the engine sent none, ``length`` when the run was cut
        short, else ``tool_calls`` or ``stop`` by what was said."""
        if self.finish is None:
            said = FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP
            self.end(FinishReason.LENGTH if cancelled else said)
        assert self.finish is not None
        return self.finish

    def leave(self) -> None:
        """A failure: what is open stays incomplete, and no event says that it is done."""
        for item in self._items:
            if item.open:
                item.leave(INCOMPLETE)

    def whole(self) -> list[Json]:
        return [item.whole() for item in self._items]

    def _speaking(self, name: str) -> Spoken:
        spoken = self._spoken
        if spoken is None or spoken.name != name:
            self._hush()
            spoken = Spoken(self._form, name, len(self._items), self._events)
            self._items.append(spoken)
            self._spoken = spoken
        self._last = spoken
        return spoken

    def _hush(self) -> None:
        if self._spoken is not None:
            self._spoken.close(COMPLETED)
            self._spoken = None

    def _called(self, piece: ToolCallDelta) -> None:
        call = self._calls.get(piece.index)
        if call is None:
            if len(self._calls) == TOOL_CALLS_MAX:
                return
            call = self._calls[piece.index] = Call(self._call_id(piece.id), self._events)
        if piece.name and not call.begun:
            self._begin(call, piece.name)
        call.add(piece.arguments)
        self._last = call

    def _begin(self, call: Call, name: str) -> None:
        self._hush()
        tool = self._form.tools.get(name) or Called(name)
        item_id = self._form.item_id("ctc" if tool.custom else "fc", len(self._items))
        call.begin(tool, item_id, len(self._items))
        self._items.append(call)

    def _call_id(self, said: str | None) -> str:
        made = f"call_{self._form.core_id}_{len(self._calls)}"
        call_id = made if not said or said in self._call_ids else said
        self._call_ids |= {call_id, made}
        return call_id

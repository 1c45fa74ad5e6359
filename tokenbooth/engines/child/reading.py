"""How a deployment reads prompts: in the gateway where that is proven, else by asking its child."""

import asyncio
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Message, Role, TextPart, Turn
from tokenbooth.engines.child.frames import Counted
from tokenbooth.engines.child.orders import NO_TRAITS, Prompt, prompt_of
from tokenbooth.engines.child.prompt import UNTHINKING
from tokenbooth.engines.gguf.metadata import read_metadata
from tokenbooth.engines.gguf.template import traits_of
from tokenbooth.engines.gguf.tokenizer import CountInput, Unknown, input_ids_reader
from tokenbooth.engines.grammar.answer import Thinking

# Longer prompts are read in a thread, so that the event loop never stands still for long.
INLINE_CHARACTERS_MAX = 8192
REMEMBERED_PROMPTS_MAX = 128
REMEMBERED_IDS_MAX = 1_000_000
_PROBE = (Message(Role.USER, (TextPart("."),)),)

Ask = Callable[[Prompt], Awaitable[Counted]]


class Prompts:
    """The ids of the last prompts, since each is counted first and started a moment later."""

    def __init__(self) -> None:
        self._known: OrderedDict[Prompt, array[int]] = OrderedDict()
        self._ids = 0

    def get(self, prompt: Prompt) -> "array[int] | None":
        return self._known.get(prompt)

    def put(self, prompt: Prompt, ids: "array[int]") -> None:
        if prompt in self._known:
            return
        self._known[prompt] = ids
        self._ids += len(ids)
        while len(self._known) > REMEMBERED_PROMPTS_MAX or self._ids > REMEMBERED_IDS_MAX:
            _, oldest = self._known.popitem(last=False)
            self._ids -= len(oldest)


class Reading:
    """``ask`` lets the child count. ``context_tokens`` is what the file was trained for."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._read: CountInput | None = None
        self._prompts = Prompts()
        self._traits = NO_TRAITS
        self._opened_by_itself = False
        self._opened_by_switch = False
        self.context_tokens: int | None = None

    async def open(self, path: Path, unknown: Unknown) -> None:
        """Raises Problem INVALID_VALUE for a bad file."""
        metadata = await asyncio.to_thread(lambda: read_metadata(path, skip_arrays=True))
        self.context_tokens = metadata.context_tokens
        self._read = await asyncio.to_thread(input_ids_reader, path, unknown)
        # A prompt that is read here comes from a template that knows nothing beyond texts.
        template = metadata.text("tokenizer.chat_template")
        self._traits = NO_TRAITS if self._read is not None else traits_of(template)

    async def look(self) -> None:
        """Ask the child, once it is there, whether prompts end inside of a thought."""
        if self._traits.thinks:
            self._opened_by_itself = await self._in_thought(None)
            if self._traits.switch:
                self._opened_by_switch = await self._in_thought("high")

    @property
    def features(self) -> frozenset[Feature]:
        """What the template adds to those of the engine."""
        takes_effort = self._traits.switch or self._traits.levels
        return frozenset({Feature.REASONING_EFFORT} if takes_effort else ())

    def thinking(self, turn: Turn) -> Thinking:
        """Whether the answer to ``turn`` begins with thoughts."""
        if not self._traits.thinks:
            return Thinking.NONE
        opened = self._opened_by_itself
        if self._traits.switch and turn.reasoning_effort is not None:
            if turn.reasoning_effort in UNTHINKING:
                return Thinking.NONE
            opened = self._opened_by_switch
        return Thinking.OPENED if opened else Thinking.MAY

    def prompt(self, turn: Turn) -> Prompt:
        """Raises Problem INVALID_VALUE for text that UTF-8 cannot hold."""
        return prompt_of(turn, self._traits)

    async def count(self, turn: Turn) -> int:
        prompt = self.prompt(turn)
        ids = await self.ids(prompt)
        return len(ids) if ids is not None else (await self._ask(prompt)).tokens

    async def ids(self, prompt: Prompt) -> "array[int] | None":
        """``None`` where only the child can tell."""
        if self._read is None or prompt.images:
            return None
        ids = self._prompts.get(prompt)
        if ids is None:
            read = self._read
            if prompt.characters <= INLINE_CHARACTERS_MAX:
                ids = array("I", read(prompt.words))
            else:
                ids = await asyncio.to_thread(lambda: array("I", read(prompt.words)))
            self._prompts.put(prompt, ids)
        return ids

    async def _in_thought(self, effort: str | None) -> bool:
        turn = Turn(model="", messages=_PROBE, reasoning_effort=effort)
        try:
            return (await self._ask(self.prompt(turn))).in_thought
        except Problem:
            return False

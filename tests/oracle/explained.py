"""Why the two answers differ, and why the booth keeps its way: every difference needs a reason.

A reason that explains nothing in a whole run fails, as a difference without one does.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tests.oracle.comparing import Difference, Kind
from tests.oracle.families import Family, Mode
from tests.oracle.published import is_published
from tests.oracle.servers import LLAMA, VLLM

BOTH = (LLAMA, VLLM)
OPENAI = (Family.CHAT, Family.COMPLETIONS, Family.RESPONSES)


@dataclass(frozen=True)
class Reason:
    """What is not given matches everything; ``wishes``, ``place``, ``booth`` and ``oracle`` are
    patterns of the whole text. ``published`` says whether the official package has the field."""

    why: str
    kinds: tuple[Kind, ...]
    servers: tuple[str, ...] = BOTH
    families: tuple[Family, ...] = tuple(Family)
    modes: tuple[Mode, ...] = tuple(Mode)
    wishes: str = ".*"
    place: str = ".*"
    booth: str = "(?s).*"
    oracle: str = "(?s).*"
    published: bool | None = None

    def covers(self, server: str, found: Difference) -> bool:
        case = found.case
        return (
            server in self.servers
            and found.kind in self.kinds
            and case.family in self.families
            and case.mode in self.modes
            and all(
                re.fullmatch(pattern, text)
                for pattern, text in (
                    (self.wishes, case.name),
                    (self.place, found.place),
                    (self.booth, found.booth),
                    (self.oracle, found.oracle),
                )
            )
            and self._published(found)
        )

    def _published(self, found: Difference) -> bool:
        if self.published is None:
            return True
        return self.published == is_published(found.case, found.place, refused=found.refused)


def reason(server: str, found: Difference, reasons: Iterable[Reason]) -> Reason | None:
    """The first that covers it."""
    return next((each for each in reasons if each.covers(server, found)), None)


_TOOLS = "tool by chance|tool required|tool named|a tool's result"
_TOLD = (Kind.EVENTS, Kind.FINISH, Kind.INPUT, Kind.OUTPUT, Kind.TEXT)
_FORM = (Kind.OURS, Kind.THEIRS, Kind.TYPE)
_CHUNKS = (Family.CHAT, Family.COMPLETIONS)

# What the engines' servers do not do, or do in their own way. The first reason that fits counts.
_OF_LLAMA = (
    Reason(
        "llama.cpp leaves tools out where the model's own template has no place for them, as here. "
        "The booth writes them into the prompt itself and holds the model to them, so prompt and "
        "answer are others.",
        (*_TOLD, *_FORM),
        (LLAMA,),
        wishes=_TOOLS,
    ),
    Reason(
        "llama.cpp calls a response completed that its limit cut; the booth says incomplete, and "
        "why.",
        (Kind.EVENTS, Kind.FINISH, Kind.TYPE),
        (LLAMA,),
        (Family.RESPONSES,),
        place="(.*[.])?completed_at|",
        booth="incomplete.*|.*response[.]incomplete|null",
        oracle="completed|.*response[.]completed|number",
    ),
    Reason(
        "llama.cpp puts a line end between the parts of a message; the booth puts nothing there.",
        (Kind.INPUT, Kind.OUTPUT, Kind.TEXT),
        (LLAMA,),
        wishes="parts",
    ),
    Reason(
        "llama.cpp leaves out the first event of a message whose first token is half a character.",
        (Kind.EVENTS, Kind.INPUT),
        (LLAMA,),
        (Family.MESSAGES,),
        (Mode.STREAMED,),
        wishes="emoji",
    ),
    Reason(
        "llama.cpp tells the usage of a streamed completion beside the finish, asked or not; the "
        "booth in an event of its own, when it is asked.",
        (Kind.EVENTS, Kind.INPUT, Kind.OUTPUT, Kind.THEIRS, Kind.TYPE),
        (LLAMA,),
        (Family.COMPLETIONS,),
        (Mode.STREAMED,),
        place="(finish: [.]usage.*)?",
        booth="text > finish > usage > .DONE.|None|null|-",
    ),
    Reason(
        "A schema is kept by a grammar of the server's own, and the two leave different space "
        "between words. llama.cpp keeps none in Responses and Messages.",
        (Kind.TEXT, Kind.OUTPUT),
        (LLAMA,),
        wishes="schema",
    ),
    Reason(
        "llama.cpp makes one choice in a call.",
        (Kind.STATUS,),
        (LLAMA,),
        _CHUNKS,
        wishes="two choices",
        booth="200",
        oracle="400",
    ),
    Reason(
        "llama.cpp wants the field of chats too before it tells log probabilities in Responses.",
        (Kind.STATUS,),
        (LLAMA,),
        (Family.RESPONSES,),
        wishes="logprobs",
        booth="200",
        oracle="400",
    ),
    Reason(
        "llama.cpp answers a faulty call, or blames itself for it; the booth names the field.",
        (Kind.STATUS,),
        (LLAMA,),
        wishes="no input|input of another type|temperature of another type|.* that is not known",
        booth="400",
        oracle="200|500",
    ),
    Reason(
        "There is nothing to complete, and llama.cpp completes it with nothing.",
        (Kind.STATUS,),
        (LLAMA,),
        (Family.COMPLETIONS,),
        wishes="empty",
        booth="400",
        oracle="200",
    ),
    Reason(
        "The limit fell into a character; llama.cpp shows the half of it as U+FFFD, where the "
        "answer is whole. The booth does so never.",
        (Kind.TEXT,),
        (LLAMA,),
        (Family.COMPLETIONS,),
        (Mode.WHOLE,),
        wishes="prompt: unicode",
        oracle=".*\ufffd",
    ),
    Reason(
        "Log probabilities of a completion have the form of a chat's there; the booth gives the "
        "published one. None are told there for `logprobs: 0`.",
        _FORM,
        (LLAMA,),
        (Family.COMPLETIONS,),
        wishes="logprobs|own logprob alone",
        place=r".*[.]logprobs([.].*)?",
    ),
    Reason(
        "Where no alternatives are asked for, llama.cpp tells one, and the booth none.",
        (Kind.THEIRS,),
        (LLAMA,),
        (Family.CHAT,),
        wishes="own logprob alone",
        place=r".*[.]top_logprobs\[\]",
    ),
    Reason(
        "The engine's binding does not tell the booth which stop string ended an answer.",
        (Kind.TYPE,),
        (LLAMA,),
        (Family.MESSAGES,),
        place=r"(.*[.])?stop_sequence",
        booth="null",
    ),
    Reason(
        "What a cache held is known when a run has begun; the booth opens its message before that, "
        "and tells it at the end.",
        (Kind.TYPE,),
        (LLAMA,),
        (Family.MESSAGES,),
        place="message_start: .*cache_read_input_tokens",
        booth="null",
    ),
)
_OF_VLLM = (
    Reason(
        "vLLM has no count of tokens for Responses.",
        (Kind.STATUS,),
        (VLLM,),
        (Family.RESPONSES,),
        (Mode.COUNTED,),
        oracle="405",
    ),
    Reason(
        "The booth does not ask an upstream for a count: it tells an upper bound, and says so. "
        "What is charged is the count of the call itself, which agrees.",
        (Kind.INPUT,),
        (VLLM,),
        modes=(Mode.COUNTED,),
    ),
    Reason(
        "vLLM calls the last event of a response completed whose status is incomplete.",
        (Kind.EVENTS,),
        (VLLM,),
        (Family.RESPONSES,),
        booth=".*response[.]incomplete",
        oracle=".*response[.]completed",
    ),
    Reason(
        "vLLM takes an empty system text in Responses and Messages for none, and the model's "
        "template then writes its own; the booth passes on what was sent, as both do in a chat.",
        (Kind.INPUT, Kind.OUTPUT, Kind.TEXT),
        (VLLM,),
        (Family.RESPONSES, Family.MESSAGES),
        wishes="empty system",
    ),
    Reason(
        "vLLM puts the last text and the finish into one chunk.",
        (Kind.EVENTS, Kind.THEIRS, Kind.TYPE),
        (VLLM,),
        _CHUNKS,
        (Mode.STREAMED,),
        place=r"(finish: [.]choices\[\][.](delta[.]content|logprobs.*))?",
        booth="(content|text) > finish > .*|-|null",
        oracle="(role > )?finish > .*|string|array|object",
    ),
    Reason(
        "vLLM takes a role that no model knows.",
        (Kind.STATUS,),
        (VLLM,),
        wishes="role that is not known",
        booth="400",
        oracle="200",
    ),
    Reason(
        "vLLM counts the input of a call that it would refuse.",
        (Kind.STATUS,),
        (VLLM,),
        modes=(Mode.COUNTED,),
        wishes="temperature of another type",
        booth="400",
        oracle="200",
    ),
    Reason(
        "vLLM's Messages need a limit; the booth takes the model's own where none is stated.",
        (Kind.STATUS,),
        (VLLM,),
        (Family.MESSAGES,),
        wishes="no limit stated",
        booth="200",
        oracle="400",
    ),
    Reason(
        "vLLM let the model write a text where the tool wants an object, and then fails over it; "
        "the booth shows it as `partial_json`, which the published API does not have.",
        (Kind.STATUS, Kind.OURS),
        (VLLM,),
        (Family.MESSAGES,),
        wishes="tool required|tool named",
        place="(content.*[.]partial_json)?",
        booth="200|string",
        oracle="400|-",
    ),
    Reason(
        "Beside a call there is no text: null in the booth, an empty text in vLLM.",
        (Kind.TYPE,),
        (VLLM,),
        (Family.CHAT,),
        wishes="tool required|tool named",
        place=r"choices\[\][.]message[.]content",
        booth="null",
        oracle="string",
    ),
    Reason(
        "Where no alternatives are asked for, vLLM tells the chosen token as one.",
        (Kind.THEIRS, Kind.TYPE),
        (VLLM,),
        (Family.COMPLETIONS,),
        wishes="own logprob alone",
        place=r".*[.]top_logprobs(\[\])?",
    ),
    Reason(
        "The booth tells the bytes of each token in every event, as a chat does.",
        (Kind.OURS,),
        (VLLM,),
        (Family.RESPONSES,),
        (Mode.STREAMED,),
        wishes="logprobs",
        place=r".*[.]bytes",
    ),
    Reason(
        "vLLM says null where the published API has an object, a list or a number.",
        (Kind.TYPE,),
        (VLLM,),
        booth="object|array|number",
        oracle="null",
    ),
    Reason(
        "vLLM tells its own default where the caller stated nothing; the booth says null.",
        (Kind.TYPE,),
        (VLLM,),
        (Family.RESPONSES,),
        place="(.*[.])?(top_p|max_output_tokens)",
        booth="null",
        oracle="number",
    ),
    Reason(
        "An optional field with nothing to say, which the booth leaves out.",
        (Kind.THEIRS,),
        (VLLM,),
        (Family.CHAT, Family.RESPONSES),
        oracle="null",
        published=True,
    ),
    Reason(
        "An error of the booth names the field.",
        (Kind.TYPE,),
        (VLLM,),
        place="error[.]param",
        booth="string",
        oracle="null",
    ),
)
REASONS = (
    *_OF_LLAMA,
    *_OF_VLLM,
    Reason(
        "The role stands in the first chunk that has something to say; there, in one of its own.",
        (Kind.EVENTS, Kind.OURS),
        families=(Family.CHAT,),
        modes=(Mode.STREAMED,),
        place=r"(content: [.]choices\[\][.]delta[.]role)?",
        booth="(content|tool_calls) > .*|string",
        oracle="role > (content|tool_calls) > .*|-",
    ),
    Reason(
        "The build of the engine is known when its run is over, so it stands in the last chunk.",
        (Kind.THEIRS,),
        families=_CHUNKS,
        modes=(Mode.STREAMED,),
        place="(content|text|finish): [.]system_fingerprint",
    ),
    Reason(
        "The booth adds what a call cost, what is left under each limit, and who counted.",
        (Kind.OURS,),
        place=r"(.*[.])?usage[.](cost|limits|source)",
    ),
    Reason(
        "The booth says whether its count is exact, or only an upper bound.",
        (Kind.OURS,),
        modes=(Mode.COUNTED,),
        place="input_tokens_exact",
    ),
    Reason(
        "The booth's errors name the field to change and the id of the call.",
        (Kind.OURS,),
        place=r"error[.](param|request_id)|request_id|type",
    ),
    Reason(
        "The code of an error is a stable word; the engines' servers repeat the status there.",
        (Kind.TYPE,),
        place="error[.]code",
        booth="string",
        oracle="number",
    ),
    Reason(
        "Of a response the booth says in every event whether it is stored, and in the last one by "
        "which build it was made, as a chat does.",
        (Kind.OURS,),
        families=(Family.RESPONSES,),
        place=r"(.*[.])?(store|system_fingerprint)",
        published=False,
    ),
    Reason(
        "The published API has the field, and the engine's server leaves it out.",
        (Kind.OURS,),
        published=True,
    ),
    Reason(
        "The field is the engine's server's own: the published API does not have it.",
        (Kind.THEIRS,),
        published=False,
    ),
)

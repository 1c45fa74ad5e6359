"""A pipeline with the few methods of OpenVINO GenAI that the worker uses; it plays written lines.

Each sequence says the ids it was told for its prompt, one in each step.
"""

import json
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Named:
    name: str


@dataclass
class Output:
    generated_ids: list[int]
    generated_log_probs: list[float]
    finish_reason: Named


@dataclass
class Config:
    """The defaults of a loaded model."""

    eos_token_id: int = 2
    stop_token_ids: set[int] = field(default_factory=lambda: {2})
    max_new_tokens: int = 2**63
    logprobs: int = 0
    do_sample: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    rng_seed: int = 0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    apply_chat_template: bool = True
    structured_output_config: Any = None


class Line:
    """A generation handle."""

    def __init__(self, ids: Sequence[int], config: Config) -> None:
        self.ids = list(ids)
        self.config = config
        self.said = 0
        self.status = "RUNNING"
        self.ready: Output | None = None

    def can_read(self) -> bool:
        return self.ready is not None

    def read(self) -> dict[int, Output]:
        output, self.ready = self.ready, None
        assert output is not None
        return {0: output}

    def get_status(self) -> Named:
        return Named(self.status)

    def cancel(self) -> None:
        self.status = "CANCEL"

    def step(self) -> None:
        if self.status != "RUNNING" or self.said >= len(self.ids):
            return
        id_ = self.ids[self.said]
        self.said += 1
        reason = "NONE"
        if id_ in self.config.stop_token_ids:
            reason = "STOP"
        elif self.said == self.config.max_new_tokens:
            reason = "LENGTH"
        if reason != "NONE":
            self.status = "FINISHED"
        self.ready = Output([id_], [-float(self.said)], Named(reason))


class Tensor:
    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = list(ids)

    @property
    def data(self) -> "Tensor":
        return self

    def ravel(self) -> "Tensor":
        return self

    def tolist(self) -> list[int]:
        return self.ids


@dataclass
class Encoded:
    input_ids: Tensor


class Tokenizer:
    refuses = False

    def __init__(self) -> None:
        self.rendered: set[str] = set()

    def apply_chat_template(
        self, history: list[dict[str, str]], *, add_generation_prompt: bool, **more: Any
    ) -> str:
        assert add_generation_prompt
        if self.refuses:
            raise RuntimeError("the template raises")
        prompt = "".join(f"{words['role']}:{words['content']};" for words in history)
        if more:
            prompt = json.dumps([history, more])
        self.rendered.add(prompt)
        return prompt

    def encode(self, prompt: str, *, add_special_tokens: bool) -> Encoded:
        # A template writes its own opening; only a raw prompt gets the model's.
        assert add_special_tokens is (prompt not in self.rendered)
        return Encoded(Tensor(list(prompt.encode())))


class Pipeline:
    """``lines`` gives the ids that the next sequence will say."""

    def __init__(self, path: str, scheduler: Any, device: str) -> None:
        self.path, self.scheduler, self.device = path, scheduler, device
        self.sequences: list[Line] = []
        self.prompts: list[list[int]] = []
        self.steps = 0
        self.lines: Callable[[], Sequence[int]] = list
        self.refusing = False

    def get_tokenizer(self) -> Tokenizer:
        return Tokenizer()

    def get_config(self) -> Config:
        return Config()

    def add_request(self, number: int, prompt: Tensor, config: Config) -> Line:
        if self.refusing:
            raise RuntimeError("no")
        sequence = Line(self.lines(), config)
        self.sequences.append(sequence)
        self.prompts.append(prompt.ids)
        return sequence

    def has_non_finished_requests(self) -> bool:
        return any(sequence.status == "RUNNING" for sequence in self.sequences)

    def step(self) -> None:
        self.steps += 1
        for sequence in self.sequences:
            sequence.step()


class SchedulerConfig:
    pass


class StructuredOutputConfig:
    def __init__(self, *, grammar: str) -> None:
        self.grammar = grammar


class Package:
    """Stands in for the module ``openvino_genai``."""

    __version__ = "2026.4.1.0-2636-abc"
    SchedulerConfig = SchedulerConfig
    StructuredOutputConfig = StructuredOutputConfig

    def __init__(self) -> None:
        self.pipeline: Pipeline

    def ContinuousBatchingPipeline(  # noqa: N802 - the name in OpenVINO
        self, path: str, scheduler: Any, device: str
    ) -> Pipeline:
        self.pipeline = Pipeline(path, scheduler, device)
        return self.pipeline


def tensor_of(ids: "array[int]") -> Tensor:
    return Tensor(ids.tolist())

"""The child of the embedded engine: the only file that loads OpenVINO."""

import sys
from array import array
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from secrets import randbits
from typing import Any, TypeAlias

import msgspec

from tokenbooth.core.problem import Problem
from tokenbooth.engines.child.frames import Begin, Count, Counted, Over, Piece, Ready, Refused
from tokenbooth.engines.child.loop import BrokenError, RefusedError, StepOut, main
from tokenbooth.engines.child.orders import (
    TEMPLATE_REFUSES,
    asked_of,
    ids_of,
    in_thought,
    is_raw,
)
from tokenbooth.engines.child.text import ChoiceText, Out
from tokenbooth.engines.embedded.values import EmbeddedOptions
from tokenbooth.engines.fingerprint import serving_fingerprint
from tokenbooth.engines.gguf.byte_level import vocabulary_bytes
from tokenbooth.engines.gguf.metadata import read_metadata

PACKAGE = "openvino_genai"
MISSING = "The embedded engine's package is not installed. Run: pip install 'tokenbooth[embedded]'"
OTHER_VOCABULARY = (
    "The embedded engine reads GGUF files with a byte-level vocabulary (tokenizer.ggml.model gpt2);"
    " serve this one with the llamacpp engine."
)
SEED_BITS = 63


TensorOf: TypeAlias = Callable[["array[int]"], Any]


class Choice:
    """One sequence in the pipeline; a turn with ``n`` choices has ``n`` of them."""

    def __init__(self, index: int, sequence: Any, text: ChoiceText) -> None:
        self.index = index
        self.sequence = sequence
        self.text = text
        self.open = True


class Running:
    def __init__(self, ask: Begin, input_tokens: int) -> None:
        self.ask = ask
        self.input_tokens = input_tokens
        self.choices: list[Choice] = []

    @property
    def output_tokens(self) -> int:
        return sum(choice.text.output_tokens for choice in self.choices)


class OpenVino:
    """Satisfies ``tokenbooth.engines.child.loop.Backend``."""

    def __init__(self, package: Any, tensor_of: TensorOf, options: EmbeddedOptions) -> None:
        self._package = package
        self._tensor_of = tensor_of
        self._options = options
        metadata = read_metadata(Path(options.gguf_path))
        vocabulary = vocabulary_bytes(metadata)
        if vocabulary is None:
            raise BrokenError("UNSUPPORTED_FEATURE", OTHER_VOCABULARY)
        self._pipeline = package.ContinuousBatchingPipeline(
            options.gguf_path, _scheduler(package, options), options.device
        )
        self._tokenizer = self._pipeline.get_tokenizer()
        self._bytes_of = vocabulary.__getitem__
        defaults = self._pipeline.get_config()
        self._end_ids = {defaults.eos_token_id, *defaults.stop_token_ids}
        self._context_tokens = metadata.context_tokens
        self._file_type = metadata.number("general.file_type")
        self._runs: dict[int, Running] = {}
        self._sequences = 0

    @property
    def ready(self) -> Ready:
        version = self._package.__version__.split("-")[0]
        options = self._options
        flags = {
            "step_tokens_max": options.step_tokens_max,
            "prefix_cache": options.prefix_cache,
            "device": options.device,
        }
        name = serving_fingerprint(
            f"openvino-genai-{version}", Path(options.gguf_path), self._file_type, flags
        )
        return Ready(self._context_tokens, name)

    @property
    def busy(self) -> bool:
        # Dropped sequences leave the pipeline in its next step, so it has work left until then.
        return bool(self._runs) or self._pipeline.has_non_finished_requests()

    def count(self, ask: Count) -> Counted:
        prompt = self._prompt(ask)
        raw = is_raw(ask)
        thought = not raw and in_thought(prompt)
        return Counted(ask.ask, len(self._encode(prompt, raw=raw)), thought)

    def begin(self, ask: Begin) -> None:
        given = ask.input_ids
        ids = (
            ids_of(given) if given is not None else self._encode(self._prompt(ask), raw=is_raw(ask))
        )
        room = None if self._context_tokens is None else self._context_tokens - len(ids)
        if room is not None and room < 1:
            raise RefusedError(
                "CONTEXT_LENGTH_EXCEEDED", "The prompt is too long.", input_tokens=len(ids)
            )
        run = Running(ask, len(ids))
        prompt = self._tensor_of(ids)
        seed = randbits(SEED_BITS) if ask.seed is None else ask.seed
        for index in range(ask.choices):
            config = self._config(ask, room, (seed + index) % 2**SEED_BITS)
            self._sequences += 1
            try:
                sequence = self._pipeline.add_request(self._sequences, prompt, config)
            except RuntimeError as error:
                _drop(run)
                raise RefusedError("ENGINE_FAILED", "The engine refused the call.") from error
            run.choices.append(Choice(index, sequence, ChoiceText(self._bytes_of, ask.stop)))
        self._runs[ask.run] = run

    def cancel(self, run: int, out: StepOut) -> None:
        running = self._runs.pop(run, None)
        if running is not None:
            _drop(running)
            out.over.append(_over(run, running, cancelled=True))

    def step(self, out: StepOut) -> None:
        if self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        for number, run in list(self._runs.items()):
            try:
                for choice in run.choices:
                    if choice.open:
                        self._read(number, choice, run, out)
            except RefusedError as error:
                _drop(run)
                self._runs.pop(number)
                out.refused.append(Refused(number, error.code, error.public))
                continue
            if not any(choice.open for choice in run.choices):
                self._runs.pop(number)
                out.over.append(_over(number, run, cancelled=False))

    def _read(self, number: int, choice: Choice, run: Running, out: StepOut) -> None:
        status = choice.sequence.get_status().name
        outs: list[Out] = []
        finish = None
        if choice.sequence.can_read():
            for output in choice.sequence.read().values():
                outs += self._texts(choice, output, run.ask)
                finish = _FINISH.get(output.finish_reason.name)
        if outs and outs[-1].stopped:
            choice.sequence.cancel()
            finish = "stop"
        if finish is None and status not in _GOING_ON:
            raise RefusedError("ENGINE_FAILED", _ENDED_EARLY.get(status, "The engine gave up."))
        if finish is not None:
            choice.open = False
            outs.append(choice.text.finish())
        piece = _piece(number, choice.index, outs, finish)
        if piece is not None:
            out.pieces.append(piece)

    def _texts(self, choice: Choice, output: Any, ask: Begin) -> Iterator[Out]:
        for id_, logprob in zip(output.generated_ids, output.generated_log_probs, strict=True):
            wanted = ask.logprobs is not None and id_ not in self._end_ids
            out = choice.text.take(id_, logprob if wanted else None)
            yield out
            if out.stopped:
                return

    def _prompt(self, ask: Begin | Count) -> str:
        if is_raw(ask):
            return ask.messages[0][1]
        asked = asked_of(ask)
        more: dict[str, Any] = {}
        if asked.tools:
            more["tools"] = asked.tools
        if asked.variables:
            more["extra_context"] = asked.variables
        try:
            prompt = self._tokenizer.apply_chat_template(
                asked.messages, add_generation_prompt=True, **more
            )
        except RuntimeError as error:
            raise RefusedError("INVALID_VALUE", TEMPLATE_REFUSES, param="messages") from error
        return str(prompt)

    def _ids(self, ask: Begin | Count) -> "array[int]":
        return self._encode(self._prompt(ask), raw=is_raw(ask))

    def _encode(self, prompt: str, *, raw: bool) -> "array[int]":
        ids = self._tokenizer.encode(prompt, add_special_tokens=raw).input_ids
        return array("I", ids.data.ravel().tolist())

    def _config(self, ask: Begin, room: int | None, seed: int) -> Any:
        config = self._pipeline.get_config()
        config.apply_chat_template = False
        limits = [limit for limit in (ask.output_tokens_max, room) if limit is not None]
        if limits:
            config.max_new_tokens = min(limits)
        temperature = self._options.temperature if ask.temperature is None else ask.temperature
        top_p = 1.0 if ask.top_p is None else ask.top_p
        config.do_sample = temperature > 0 and top_p > 0
        if config.do_sample:
            config.temperature, config.top_p, config.rng_seed = temperature, top_p, seed
        config.presence_penalty = ask.presence_penalty
        config.frequency_penalty = ask.frequency_penalty
        config.logprobs = 0 if ask.logprobs is None else 1
        if ask.grammar is not None:
            config.structured_output_config = self._package.StructuredOutputConfig(
                grammar=ask.grammar
            )
        return config


_FINISH = {"STOP": "stop", "LENGTH": "length"}
_GOING_ON = ("RUNNING", "FINISHED")
_ENDED_EARLY = {"IGNORED": "The call does not fit the engine's cache; the operator can enlarge it."}


def _drop(run: Running) -> None:
    for choice in run.choices:
        if choice.open:
            choice.sequence.cancel()


def _over(number: int, run: Running, *, cancelled: bool) -> Over:
    return Over(number, run.input_tokens, run.output_tokens, cancelled=cancelled)


def _piece(run: int, choice: int, outs: list[Out], finish: str | None) -> Piece | None:
    text = "".join(out.text for out in outs)
    output_tokens = sum(out.output_tokens for out in outs)
    if not (text or output_tokens or finish):
        return None
    logprobs = tuple(logprob for out in outs for logprob in out.logprobs)
    return Piece(run, choice, text, output_tokens, logprobs, finish)


def _scheduler(package: Any, options: EmbeddedOptions) -> Any:
    config = package.SchedulerConfig()
    config.cache_size = options.cache_gib
    config.max_num_batched_tokens = options.step_tokens_max
    config.dynamic_split_fuse = True
    config.enable_prefix_caching = options.prefix_cache
    return config


def load_packages() -> tuple[Any, TensorOf]:
    """OpenVINO GenAI, and its tensor of one row of ids. Raises BrokenError."""
    # Importing OpenVINO reports to its maker and leaves files in the home directory; without this
    # package it uses a stub that does neither.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        package = import_module(PACKAGE)
        tensor = import_module("openvino").Tensor
        array_of = import_module("numpy").array
    except ImportError as error:
        raise BrokenError("ENGINE_NOT_INSTALLED", MISSING) from error
    return package, lambda ids: tensor(array_of([ids], dtype="int64"))


def load(options_json: bytes) -> OpenVino:
    """Raises BrokenError."""
    options = msgspec.json.decode(options_json, type=EmbeddedOptions)
    package, tensor_of = load_packages()
    try:
        return OpenVino(package, tensor_of, options)
    except Problem as problem:
        raise BrokenError(problem.code.name, problem.public) from problem
    except RuntimeError as error:
        raise BrokenError(
            "ENGINE_NOT_READY", f"OpenVINO cannot open {options.gguf_path}: {_first_line(error)}"
        ) from error


def _first_line(error: RuntimeError) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[-1][:500]


if __name__ == "__main__":
    main(load)

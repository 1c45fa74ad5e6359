"""The child of the llama.cpp engine: the only file that loads xllamacpp.

The engine has threads of its own. Each choice is one blocking call in a thread, whose callbacks go
into a queue; the loop's ``step`` empties it.
"""

import http.client
import os
import queue
import threading
from array import array
from importlib import import_module
from pathlib import Path
from secrets import randbits, token_hex
from typing import Any

import msgspec

from tokenbooth.core.problem import Problem
from tokenbooth.engines.bounds import IMAGE_TOKENS_MIN
from tokenbooth.engines.child.frames import (
    Begin,
    Count,
    Counted,
    Logprob,
    Over,
    Piece,
    Ready,
    Refused,
)
from tokenbooth.engines.child.loop import BrokenError, RefusedError, StepOut, main
from tokenbooth.engines.child.orders import TEMPLATE_REFUSES, asked_of, ids_of, in_thought, is_raw
from tokenbooth.engines.fingerprint import serving_fingerprint, weights_digest
from tokenbooth.engines.gguf.metadata import read_metadata
from tokenbooth.engines.llamacpp.sight import Sight, listen, native
from tokenbooth.engines.llamacpp.values import LlamacppOptions

PACKAGE = "xllamacpp"
MISSING = "The llama.cpp engine's package is not installed. Run: pip install 'tokenbooth[llamacpp]'"
CONTEXT_DEFAULT_MAX = 4096
ASK_WAIT_S = 30.0
STEP_WAIT_S = 0.02
# A full queue holds the engine up until the gateway has read.
HEARD_MAX = 4096
SEED_BITS = 31
# Some models read all tokens of an image in one step.
SIGHT_STEP_TOKENS_MIN = 512
TOO_LONG = "exceed_context_size_error"
UNSEEN = "The model's engine cannot read one of the images."


class Choice:
    """One call of the engine; ``output_tokens`` are those heard of, ``sent`` those passed on."""

    def __init__(self, run: "Running", index: int) -> None:
        self.run = run
        self.index = index
        self.output_tokens = 0
        self.sent = 0
        self.cached_tokens = 0
        self.open = True


class Running:
    def __init__(self, ask: Begin, input_tokens: int) -> None:
        self.ask = ask
        self.input_tokens = input_tokens
        self.choices = [Choice(self, index) for index in range(ask.choices)]
        self.cancelled = False

    @property
    def over(self) -> bool:
        return not any(choice.open for choice in self.choices)

    def ended(self) -> Over:
        # The prompt is charged once, so what the first choice found cached is what counts.
        cached = min(self.choices[0].cached_tokens, self.input_tokens)
        output_tokens = sum(choice.output_tokens for choice in self.choices)
        return Over(self.ask.run, self.input_tokens, output_tokens, cached, self.cancelled)


def _named(engine: str, options: LlamacppOptions, file_type: int | None) -> str:
    sight = weights_digest(Path(options.mmproj_path)) if options.mmproj_path else ""
    flags = {
        "slots": options.slots,
        "context_tokens": options.context_tokens,
        "step_tokens_max": options.step_tokens_max,
        "threads": options.threads,
        "sight": sight,
    }
    return serving_fingerprint(engine, Path(options.gguf_path), file_type, flags)


class LlamaCpp:
    """Satisfies ``tokenbooth.engines.child.loop.Backend``."""

    def __init__(self, package: Any, options: LlamacppOptions) -> None:
        self._options = options
        metadata = read_metadata(Path(options.gguf_path), skip_arrays=True)
        trained = metadata.context_tokens
        self._file_type = metadata.number("general.file_type")
        wished = options.context_tokens or CONTEXT_DEFAULT_MAX
        self._context_tokens = min(wished, trained or wished)
        self._key_secret = token_hex(32)
        self._server = package.Server(self._parameters(package))
        self._address = str(self._server.listening_address).removeprefix("http://")
        self._sight = Sight(self._ask("/props")["media_marker"]) if options.mmproj_path else None
        self._version = str(package.__version__)
        self._heard: queue.Queue[tuple[Choice, dict[str, Any] | None]] = queue.Queue(HEARD_MAX)
        self._runs: dict[int, Running] = {}

    def _parameters(self, package: Any) -> Any:
        options = self._options
        wanted = package.CommonParams()
        wanted.model.path = options.gguf_path
        # The window is split evenly over the slots.
        wanted.n_ctx = self._context_tokens * options.slots
        wanted.n_parallel = options.slots
        step_tokens_max = options.step_tokens_max
        if options.mmproj_path:
            wanted.mmproj.path = options.mmproj_path
            wanted.image_max_tokens = IMAGE_TOKENS_MIN
            step_tokens_max = max(SIGHT_STEP_TOKENS_MIN, step_tokens_max)
        wanted.n_batch = wanted.n_ubatch = step_tokens_max
        # Its threads wait for each other by spinning: on 2 busy cores a second thread made it
        # slower by far (4 instead of 79 tokens a second), so one core is left to the rest.
        threads = options.threads or max(1, _cores() - 1)
        wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = threads
        wanted.use_jinja = True
        wanted.prefill_assistant = False
        wanted.verbosity = 0
        wanted.warmup = False
        # The package opens a port on the loopback; nobody else may use it past the ledger.
        wanted.api_keys = [self._key_secret]
        return wanted

    @property
    def ready(self) -> Ready:
        name = f"xllamacpp-{self._version}"
        return Ready(self._context_tokens, _named(name, self._options, self._file_type))

    @property
    def busy(self) -> bool:
        return bool(self._runs)

    def count(self, ask: Count) -> Counted:
        prompt = self._prompt(ask)
        if self._sight is not None:
            prompt = self._sight.unmarked(prompt)
        thought = not is_raw(ask) and in_thought(prompt)
        return Counted(ask.ask, len(self._encode(prompt)), thought)

    def begin(self, ask: Begin) -> None:
        if ask.images and self._sight is not None:
            # How many tokens its images make, the engine says with its first words.
            prompt: Any = self._prompt(ask)
            room, run = self._context_tokens - 1, Running(ask, 0)
        else:
            given = ask.input_ids
            ids = ids_of(given) if given is not None else self._ids(ask)
            prompt, run = ids.tolist(), Running(ask, len(ids))
            room = self._context_tokens - len(ids)
            if room < 1:
                raise RefusedError(
                    "CONTEXT_LENGTH_EXCEEDED", "The prompt is too long.", input_tokens=len(ids)
                )
        self._runs[ask.run] = run
        seed = randbits(SEED_BITS) if ask.seed is None else ask.seed
        for choice in run.choices:
            body = self._body(ask, prompt, room) | {"seed": (seed + choice.index) % 2**SEED_BITS}
            threading.Thread(target=self._work, args=(choice, body), daemon=True).start()

    def cancel(self, run: int, out: StepOut) -> None:
        # The engine hears of it at its next callback; the run is over when its last call returns.
        if run in self._runs:
            self._runs[run].cancelled = True

    def step(self, out: StepOut) -> None:
        try:
            heard = self._heard.get(timeout=STEP_WAIT_S)
            while True:
                self._take(*heard, out)
                heard = self._heard.get_nowait()
        except queue.Empty:
            return

    def _work(self, choice: Choice, body: dict[str, Any]) -> None:
        def hear(chunk: dict[str, Any]) -> bool:
            self._heard.put((choice, chunk))
            return choice.run.cancelled

        try:
            if self._sight is None:
                self._server.handle_completions(body, hear)
            else:
                listen(self._address, self._headers(), native(body, choice.run.ask.images), hear)
        except (RuntimeError, OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
            self._heard.put((choice, {"error": {"message": str(error)}}))
        finally:
            self._heard.put((choice, None))

    def _take(self, choice: Choice, chunk: dict[str, Any] | None, out: StepOut) -> None:
        run = choice.run
        number = run.ask.run
        if self._runs.get(number) is not run:
            return
        if chunk is None:
            choice.open = False
            if run.over:
                self._runs.pop(number)
                out.over.append(run.ended())
        elif "error" in chunk:
            run.cancelled = True
            self._runs.pop(number)
            out.refused.append(_refused(run.ask, chunk["error"]))
        elif not run.cancelled:
            piece = _piece(choice, chunk)
            if piece is not None:
                out.pieces.append(piece)

    def _body(self, ask: Begin, prompt: Any, room: int) -> dict[str, Any]:
        limit = room if ask.output_tokens_max is None else min(room, ask.output_tokens_max)
        temperature = self._options.temperature if ask.temperature is None else ask.temperature
        body: dict[str, Any] = {
            "prompt": prompt,
            "stream": True,
            "max_tokens": limit,
            "temperature": temperature,
            "top_p": 1.0 if ask.top_p is None else ask.top_p,
            "top_k": 0,
            "min_p": 0.0,
            "presence_penalty": ask.presence_penalty,
            "frequency_penalty": ask.frequency_penalty,
            "stop": list(ask.stop),
            "logit_bias": [list(pair) for pair in ask.logit_bias],
            # Both make the engine call back more often: a cancel is heard at each callback.
            "timings_per_token": True,
            "return_progress": True,
        }
        if ask.logprobs is not None:
            body["logprobs"] = max(1, ask.logprobs)
        if ask.grammar is not None:
            body["grammar"] = ask.grammar
        return body

    def _prompt(self, ask: Begin | Count) -> str:
        if is_raw(ask):
            return ask.messages[0][1]
        asked = asked_of(ask)
        messages = list(map(_with_texts, asked.messages))
        if self._sight is not None:
            messages = [{**m, "content": self._sight.marked(m["content"])} for m in messages]
        body: dict[str, Any] = {"messages": messages}
        if asked.tools:
            body["tools"] = asked.tools
        if asked.variables:
            body["chat_template_kwargs"] = asked.variables
        return str(self._ask("/apply-template", body)["prompt"])

    def _ids(self, ask: Begin | Count) -> "array[int]":
        return self._encode(self._prompt(ask))

    def _encode(self, prompt: str) -> "array[int]":
        wish = {"content": prompt, "add_special": True, "parse_special": True}
        return array("I", self._ask("/tokenize", wish)["tokens"])

    def _headers(self) -> dict[str, str]:
        return {
            "authorization": f"Bearer {self._key_secret}",
            "content-type": "application/json",
        }

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection(self._address, timeout=ASK_WAIT_S)
        try:
            if body is None:
                connection.request("GET", path, headers=self._headers())
            else:
                connection.request("POST", path, msgspec.json.encode(body), self._headers())
            answer = connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise RefusedError("ENGINE_FAILED", "The engine did not read the prompt.") from error
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise RefusedError("INVALID_VALUE", TEMPLATE_REFUSES, param="messages")
        return msgspec.json.decode(raw)


def _with_texts(message: dict[str, Any]) -> dict[str, Any]:
    """The server wants arguments as texts, and makes objects of them where a template does."""
    calls = message.get("tool_calls")
    if not calls:
        return message
    return {**message, "tool_calls": [_with_text(call) for call in calls]}


def _with_text(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = function["arguments"]
    if not isinstance(arguments, str):
        arguments = msgspec.json.encode(arguments).decode()
    return {**call, "function": {**function, "arguments": arguments}}


def _cores() -> int:
    """The cores that this process may use, or that there are where a system does not tell."""
    affinity = getattr(os, "sched_getaffinity", None)
    return (os.cpu_count() or 1) if affinity is None else len(affinity(0))


def _piece(choice: Choice, chunk: dict[str, Any]) -> Piece | None:
    """What a callback adds; ``None`` when it only tells of progress."""
    run = choice.run
    run.input_tokens = max(run.input_tokens, chunk.get("prompt_tokens") or 0)
    if not chunk.get("choices"):
        return None
    said = chunk["choices"][0]
    timings = chunk.get("timings") or {}
    choice.output_tokens = max(choice.output_tokens, timings.get("predicted_n", 0))
    choice.cached_tokens = timings.get("cache_n", choice.cached_tokens)
    usage = chunk.get("usage")
    if usage is not None:
        choice.output_tokens = usage["completion_tokens"]
    text, finish = said["text"], said["finish_reason"]
    if not text and finish is None:
        return None
    fresh = choice.output_tokens - choice.sent
    choice.sent = choice.output_tokens
    return Piece(choice.run.ask.run, choice.index, text, fresh, _logprobs(choice, said), finish)


def _refused(ask: Begin, error: dict[str, Any]) -> Refused:
    """What the engine says of a prompt with images; of any other one it was judged before."""
    if error.get("type") == TOO_LONG:
        tokens = error.get("n_prompt_tokens")
        return Refused(
            ask.run, "CONTEXT_LENGTH_EXCEEDED", "The prompt is too long.", input_tokens=tokens
        )
    if ask.images and error.get("code") == http.HTTPStatus.BAD_REQUEST:
        return Refused(ask.run, "MEDIA_UNREADABLE", UNSEEN)
    return Refused(ask.run, "ENGINE_FAILED", "The engine refused the call.")


def _logprobs(choice: Choice, said: dict[str, Any]) -> tuple[Logprob, ...]:
    asked = choice.run.ask.logprobs
    content = (said.get("logprobs") or {}).get("content") or ()
    if asked is None:
        return ()
    return tuple(
        Logprob(
            place["token"],
            place["logprob"],
            tuple((top["token"], top["logprob"]) for top in place["top_logprobs"][:asked]),
        )
        for place in content
    )


def load(options_json: bytes) -> LlamaCpp:
    """Raises BrokenError."""
    options = msgspec.json.decode(options_json, type=LlamacppOptions)
    try:
        package = import_module(PACKAGE)
    except ImportError as error:
        raise BrokenError("ENGINE_NOT_INSTALLED", MISSING) from error
    try:
        return LlamaCpp(package, options)
    except Problem as problem:
        raise BrokenError(problem.code.name, problem.public) from problem
    except RuntimeError as error:
        raise BrokenError(
            "ENGINE_NOT_READY", f"llama.cpp cannot open {options.gguf_path}: {error}"
        ) from error


if __name__ == "__main__":
    main(load)

"""The worker over a server that plays written chunks; the real one is in tests/outside."""

import http.server
import json
import sys
import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.gguf import tiny_vocabulary, write_gguf
from tests.unit.engines.child.test_frames import begin
from tokenbooth.core.codes import Code
from tokenbooth.core.features import Feature
from tokenbooth.core.problem import Problem
from tokenbooth.engines.child.frames import Count, Counted, Logprob, Over, Piece, Refused
from tokenbooth.engines.child.loop import BrokenError, RefusedError, StepOut
from tokenbooth.engines.gguf.template import RAW
from tokenbooth.engines.llamacpp import worker
from tokenbooth.engines.llamacpp.engine import WORKER, LlamacppEngine
from tokenbooth.engines.llamacpp.values import LlamacppOptions
from tokenbooth.engines.llamacpp.worker import LlamaCpp, load
from tokenbooth.engines.options import options_from

PROMPT = array("I", [5, 6, 7]).tobytes()
Chunk = dict[str, Any]
Hear = Callable[[Chunk], bool]


def chunk(text: str = "", finish: str | None = None, **more: Any) -> Chunk:
    return {"choices": [{"text": text, "finish_reason": finish, "logprobs": None}], **more}


def usage(output_tokens: int) -> Chunk:
    return {"completion_tokens": output_tokens}


def timings(predicted: int, cached: int = 0) -> Chunk:
    return {"predicted_n": predicted, "cache_n": cached}


class Server:
    """Plays ``script`` for each call; ``gate`` holds a call up until the test lets it go on."""

    def __init__(self, parameters: Any) -> None:
        self.parameters = parameters
        self.listening_address = "http://127.0.0.1:9"
        self.bodies: list[Chunk] = []
        self.script: list[Chunk] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fault: Exception | None = None

    def handle_completions(self, body: Chunk, hear: Hear) -> None:
        self.bodies.append(body)
        if self.fault is not None:
            raise self.fault
        for said in self.script:
            if hear(said):
                return
            assert self.gate.wait(20)


class Package:
    __version__ = "2026.10.11549"

    def __init__(self) -> None:
        self.server: Server

    def CommonParams(self) -> Any:  # noqa: N802 - the name in xllamacpp
        empty = SimpleNamespace
        return empty(model=empty(), cpuparams=empty(), cpuparams_batch=empty())

    def Server(self, parameters: Any) -> Server:  # noqa: N802
        self.server = Server(parameters)
        return self.server


class Stage:
    def __init__(self, directory: Path, *script: Chunk, **options: Any) -> None:
        path = write_gguf(directory / "a.gguf", tiny_vocabulary())
        self.package = Package()
        self.backend = LlamaCpp(self.package, LlamacppOptions(str(path), **options))
        self.server.script = list(script)

    @property
    def server(self) -> Server:
        return self.package.server

    def to_the_end(self) -> StepOut:
        out = StepOut()
        while self.backend.busy:
            self.backend.step(out)
        return out


def test_the_server_is_set_up_as_told(tmp_path: Path) -> None:
    stage = Stage(tmp_path, slots=3, context_tokens=100, step_tokens_max=32, threads=5)
    wanted = stage.server.parameters
    assert wanted.model.path.endswith("a.gguf")
    assert (wanted.n_ctx, wanted.n_parallel) == (300, 3)
    assert (wanted.n_batch, wanted.n_ubatch) == (32, 32)
    assert (wanted.cpuparams.n_threads, wanted.cpuparams_batch.n_threads) == (5, 5)
    version, _, rest = stage.backend.ready.fingerprint.partition(" ")
    assert version == "xllamacpp-2026.10.11549"
    assert rest.startswith("unknown weights:")
    assert stage.backend.ready.context_tokens == 100
    assert not stage.backend.busy


def test_the_port_of_the_server_is_closed_to_others(tmp_path: Path) -> None:
    keys = [Stage(tmp_path).server.parameters.api_keys for _ in range(2)]
    assert all(len(key[0]) == 64 for key in keys)
    assert keys[0] != keys[1]


@pytest.mark.parametrize(("wished", "window"), [(0, 512), (100, 100), (100_000, 512)])
def test_the_window_is_never_wider_than_the_model(tmp_path: Path, wished: int, window: int) -> None:
    assert Stage(tmp_path, context_tokens=wished).backend.ready.context_tokens == window


def test_a_run_says_its_chunks_and_the_servers_counts(tmp_path: Path) -> None:
    stage = Stage(
        tmp_path,
        chunk(prompt_progress={"processed": 3}, timings=timings(0)),
        chunk("he", timings=timings(1, 2)),
        chunk("", timings=timings(2, 2)),
        chunk("llo", timings=timings(3, 2)),
        chunk("", "stop", usage=usage(4), timings=timings(4, 2)),
    )
    stage.backend.begin(begin(run=3, input_ids=PROMPT))
    out = stage.to_the_end()
    assert out.pieces == [
        Piece(3, 0, "he", 1),
        Piece(3, 0, "llo", 2),
        Piece(3, 0, "", 1, finish="stop"),
    ]
    assert out.over == [Over(3, 3, 4, 2)]


def test_chunks_without_choices_and_timings_are_passed_over(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {"choices": []}, {}, chunk("a"), chunk("", "length", usage=usage(1)))
    stage.backend.begin(begin(input_ids=PROMPT))
    out = stage.to_the_end()
    assert [piece.text for piece in out.pieces] == ["a", ""]
    assert out.over == [Over(1, 3, 1, 0)]


def test_choices_are_calls_with_seeds_of_their_own(tmp_path: Path) -> None:
    stage = Stage(tmp_path, chunk("a"), chunk("", "stop", usage=usage(2), timings=timings(2, 3)))
    stage.backend.begin(begin(input_ids=PROMPT, choices=2, seed=9))
    out = stage.to_the_end()
    assert sorted(body["seed"] for body in stage.server.bodies) == [9, 10]
    assert sorted(piece.choice for piece in out.pieces if piece.finish) == [0, 1]
    assert out.over == [Over(1, 3, 4, 3)]


def test_wishes_reach_the_server(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    wish = begin(
        input_ids=PROMPT,
        output_tokens_max=11,
        temperature=0.0,
        top_p=0.9,
        presence_penalty=0.3,
        frequency_penalty=-0.4,
        stop=("a",),
        logit_bias=((7, -100.0),),
        logprobs=0,
        grammar="root ::= r0",
    )
    stage.backend.begin(wish)
    stage.to_the_end()
    [body] = stage.server.bodies
    assert body["prompt"] == [5, 6, 7]
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (11, 0.0, 0.9)
    assert (body["presence_penalty"], body["frequency_penalty"]) == (0.3, -0.4)
    assert (body["stop"], body["logit_bias"]) == (["a"], [[7, -100.0]])
    assert (body["logprobs"], body["grammar"]) == (1, "root ::= r0")
    assert body["stream"] is body["timings_per_token"] is body["return_progress"] is True


def test_defaults_stand_where_nothing_is_wished(tmp_path: Path) -> None:
    stage = Stage(tmp_path, temperature=0.7)
    stage.backend.begin(begin(input_ids=PROMPT))
    stage.to_the_end()
    [body] = stage.server.bodies
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (509, 0.7, 1.0)
    assert "logprobs" not in body
    assert "grammar" not in body


def test_logprobs_and_as_many_alternatives_as_asked(tmp_path: Path) -> None:
    place = {
        "token": "a",
        "logprob": -0.5,
        "top_logprobs": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.5}],
    }
    said = chunk("a")
    said["choices"][0]["logprobs"] = {"content": [place]}

    def told(asked: int | None) -> tuple[Logprob, ...]:
        stage = Stage(tmp_path, said)
        stage.backend.begin(begin(input_ids=PROMPT, logprobs=asked))
        return stage.to_the_end().pieces[0].logprobs

    assert told(None) == ()
    assert told(0) == (Logprob("a", -0.5),)
    assert told(1) == (Logprob("a", -0.5, (("a", -0.5),)),)
    assert told(2) == (Logprob("a", -0.5, (("a", -0.5), ("b", -1.5))),)


def test_a_prompt_without_room_is_refused_with_its_length(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with pytest.raises(RefusedError) as caught:
        stage.backend.begin(begin(input_ids=array("I", [1] * 512).tobytes()))
    assert caught.value.code == "CONTEXT_LENGTH_EXCEEDED"
    assert caught.value.input_tokens == 512


def test_a_cancel_stops_the_call_at_its_next_chunk(tmp_path: Path) -> None:
    stage = Stage(tmp_path, chunk("a", timings=timings(1)), chunk("b", timings=timings(2)))
    stage.server.gate.clear()
    stage.backend.begin(begin(input_ids=PROMPT))
    out = StepOut()
    while not out.pieces:
        stage.backend.step(out)
    stage.backend.cancel(1, out)
    stage.backend.cancel(99, out)
    assert out.over == []
    stage.server.gate.set()
    end = stage.to_the_end()
    assert end.pieces == []
    assert end.over == [Over(1, 3, 1, 0, cancelled=True)]


@pytest.mark.parametrize("by", ["answer", "fault"])
def test_a_refusal_of_the_server_fails_the_run_alone(tmp_path: Path, by: str) -> None:
    stage = Stage(tmp_path, {"error": {"code": 400, "message": "no"}}, chunk("late"))
    if by == "fault":
        stage.server.fault = RuntimeError("no")
    stage.backend.begin(begin(input_ids=PROMPT, choices=2))
    out = stage.to_the_end()
    assert out.refused == [Refused(1, "ENGINE_FAILED", "The engine refused the call.")]
    assert out.over == []
    # What the calls still say is about a run that is gone.
    late = StepOut()
    for _ in range(5):
        stage.backend.step(late)
    assert not late


class Answers(http.server.BaseHTTPRequestHandler):
    """Renders and splits as llama.cpp's port does, for whoever knows the key."""

    status = 200
    key_secret = ""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert self.headers["authorization"] == f"Bearer {self.key_secret}"
        if self.path == "/apply-template":
            more = [body[n] for n in ("tools", "chat_template_kwargs") if n in body]
            texts = "".join(m["content"] for m in body["messages"])
            answer: Chunk = {"prompt": json.dumps([body, more]) if more else texts}
        else:
            assert body["parse_special"] is True
            answer = {"tokens": list(body["content"].encode())}
        raw = json.dumps(answer).encode()
        self.send_response(self.status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *rest: Any) -> None:  # noqa: A002
        pass


@contextmanager
def port(stage: Stage, status: int = 200) -> Iterator[None]:
    key_secret = stage.server.parameters.api_keys[0]
    handler = type("Told", (Answers,), {"status": status, "key_secret": key_secret})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        stage.backend._address = f"127.0.0.1:{server.server_port}"
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_messages_are_rendered_and_split_by_the_engine(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with port(stage):
        assert stage.backend.count(Count(1, (("system", "ab"), ("user", "c")))) == Counted(1, 3)
        stage.backend.begin(begin(messages=(("user", "hi"),)))
    stage.to_the_end()
    assert stage.server.bodies[0]["prompt"] == list(b"hi")


def test_a_raw_prompt_gets_no_template(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with port(stage):
        assert stage.backend.count(Count(1, ((RAW, "abcd"),))) == Counted(1, 4, False)


def test_the_template_gets_tools_and_variables_with_arguments_as_texts(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    calls = [{"function": {"name": "x", "arguments": a}} for a in ({"b": 1}, "as it is")]
    asked = {
        "messages": [{"role": "assistant", "content": "", "tool_calls": calls}],
        "tools": [{"a": 1}],
        "variables": {"enable_thinking": False},
    }
    with port(stage):
        stage.backend.begin(begin(messages=(), template_json=json.dumps(asked)))
    stage.to_the_end()
    body, more = json.loads(bytes(stage.server.bodies[0]["prompt"]))
    assert more == [[{"a": 1}], {"enable_thinking": False}]
    called = body["messages"][0]["tool_calls"]
    assert [call["function"]["arguments"] for call in called] == ['{"b":1}', "as it is"]


def test_messages_that_the_template_refuses_are_the_callers_fault(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with port(stage, status=400), pytest.raises(RefusedError) as caught:
        stage.backend.count(Count(1, (("user", "c"),)))
    assert (caught.value.code, caught.value.param) == ("INVALID_VALUE", "messages")


def test_a_port_that_is_closed_fails_the_count(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.backend._address = "127.0.0.1:1"
    with pytest.raises(RefusedError) as caught:
        stage.backend.count(Count(1, (("user", "c"),)))
    assert caught.value.code == "ENGINE_FAILED"


def options_json(path: Path) -> bytes:
    return json.dumps({"gguf_path": str(path)}).encode()


def test_load_builds_the_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", Package())  # type: ignore[arg-type]
    backend = load(options_json(write_gguf(tmp_path / "a.gguf", tiny_vocabulary())))
    assert backend.ready.context_tokens == 512


def test_load_names_the_install_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(BrokenError, match=r"pip install 'tokenbooth\[llamacpp\]'") as caught:
        load(options_json(tmp_path / "a.gguf"))
    assert caught.value.code == "ENGINE_NOT_INSTALLED"


def test_load_tells_of_a_bad_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", Package())  # type: ignore[arg-type]
    with pytest.raises(BrokenError, match="cannot be read") as caught:
        load(options_json(tmp_path / "absent.gguf"))
    assert caught.value.code == "INVALID_VALUE"


def test_load_tells_what_llamacpp_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(package: Package, parameters: Any) -> Server:
        raise RuntimeError("bad tensor")

    monkeypatch.setattr(Package, "Server", fail)
    monkeypatch.setitem(sys.modules, "xllamacpp", Package())  # type: ignore[arg-type]
    with pytest.raises(BrokenError, match="bad tensor") as caught:
        load(options_json(write_gguf(tmp_path / "a.gguf", tiny_vocabulary())))
    assert caught.value.code == "ENGINE_NOT_READY"


@pytest.mark.parametrize(
    ("name", "text"),
    [("slots", "0"), ("context_tokens", "-1"), ("step_tokens_max", "8"), ("threads", "-1"),
     ("temperature", "3"), ("hang_after_s", "0")],
)  # fmt: skip
def test_absurd_options_are_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(Problem) as caught:
        options_from(LlamacppOptions, {name: text}, gguf_path="/w/a.gguf")
    assert caught.value.code is Code.INVALID_VALUE
    assert name in caught.value.public


def test_the_child_gets_every_option_and_the_engine_says_what_it_can() -> None:
    engine = LlamacppEngine(LlamacppOptions("/w/a.gguf", slots=2, hang_after_s=9))
    plan = engine._kind.plan
    assert plan.module == WORKER
    assert json.loads(plan.options_json)["slots"] == 2
    assert plan.policy.hang_after_s == 9
    features = engine.capabilities.features
    assert {Feature.TOP_LOGPROBS, Feature.CACHED_TOKENS, Feature.LOGIT_BIAS} <= features
    assert Feature.TOOLS in features


def test_threads_follow_the_cores_that_may_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.os, "sched_getaffinity", lambda pid: {0, 3, 5})
    assert Stage(tmp_path).server.parameters.cpuparams.n_threads == 2
    monkeypatch.setattr(worker.os, "sched_getaffinity", lambda pid: {3})
    assert Stage(tmp_path).server.parameters.cpuparams.n_threads == 1
    monkeypatch.delattr(worker.os, "sched_getaffinity")
    monkeypatch.setattr(worker.os, "cpu_count", lambda: 8)
    assert Stage(tmp_path).server.parameters.cpuparams.n_threads == 7
    monkeypatch.setattr(worker.os, "cpu_count", lambda: None)
    assert Stage(tmp_path).server.parameters.cpuparams.n_threads == 1

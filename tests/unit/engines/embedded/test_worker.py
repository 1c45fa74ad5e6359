"""The worker over a pipeline that plays written lines; the real one is in tests/outside."""

import json
import sys
from array import array
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.gguf import tiny_vocabulary, write_gguf
from tests.support.openvino import Package, Pipeline, tensor_of
from tests.unit.engines.child.test_frames import begin
from tokenbooth.engines.child.frames import Count, Counted, Logprob, Over, Piece, Refused
from tokenbooth.engines.child.loop import BrokenError, RefusedError, StepOut
from tokenbooth.engines.embedded import worker
from tokenbooth.engines.embedded.values import EmbeddedOptions
from tokenbooth.engines.embedded.worker import OpenVino, load
from tokenbooth.engines.gguf.byte_level import bytes_of
from tokenbooth.engines.gguf.template import RAW

END = 2
PROMPT = array("I", [5, 6, 7]).tobytes()


class Stage:
    def __init__(self, directory: Path, *lines: Sequence[int], **options: Any) -> None:
        path = write_gguf(directory / "a.gguf", tiny_vocabulary())
        self.package = Package()
        self.options = EmbeddedOptions(str(path), **options)
        self.backend = OpenVino(self.package, tensor_of, self.options)
        rest = iter(lines)
        self.pipeline.lines = lambda: next(rest)

    @property
    def pipeline(self) -> Pipeline:
        return self.package.pipeline

    def step(self) -> StepOut:
        out = StepOut()
        self.backend.step(out)
        return out

    def to_the_end(self) -> StepOut:
        whole = StepOut()
        while self.backend.busy:
            self.backend.step(whole)
        return whole


def spelt(text: str) -> list[int]:
    """One id for each byte of ``text``."""
    texts = tiny_vocabulary()["tokenizer.ggml.tokens"]
    assert isinstance(texts, list)
    places = {bytes_of(known): place for place, known in enumerate(texts) if place > 2}
    return [places[bytes([byte])] for byte in text.encode()]


def test_the_pipeline_is_set_up_as_told(tmp_path: Path) -> None:
    stage = Stage(tmp_path, step_tokens_max=128, cache_gib=2, prefix_cache=False, device="GPU")
    scheduler = stage.pipeline.scheduler
    assert scheduler.max_num_batched_tokens == 128
    assert scheduler.cache_size == 2
    assert scheduler.dynamic_split_fuse is True
    assert scheduler.enable_prefix_caching is False
    assert stage.pipeline.device == "GPU"
    version, _, rest = stage.backend.ready.fingerprint.partition(" ")
    assert version == "openvino-genai-2026.4.1.0"
    assert rest.startswith("unknown weights:")
    assert stage.backend.ready.context_tokens == 512
    assert not stage.backend.busy


def test_a_run_says_its_line_and_its_counts(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [*spelt("hi"), END])
    stage.backend.begin(begin(run=3, input_ids=PROMPT))
    assert stage.pipeline.prompts == [[5, 6, 7]]
    assert stage.step().pieces == [Piece(3, 0, "h", 1)]
    assert stage.step().pieces == [Piece(3, 0, "i", 1)]
    last = stage.step()
    assert last.pieces == [Piece(3, 0, "", 1, finish="stop")]
    assert last.over == [Over(3, 3, 3)]
    assert not stage.backend.busy


def test_messages_are_rendered_and_counted_by_the_engine(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [END])
    words = (("user", "hey"),)
    assert stage.backend.count(Count(1, words)) == Counted(1, len("user:hey;"))
    stage.backend.begin(begin(messages=words))
    assert stage.pipeline.prompts == [list(b"user:hey;")]
    assert stage.to_the_end().over == [Over(1, 9, 1)]


def test_a_raw_prompt_gets_no_template(tmp_path: Path) -> None:
    counted = Stage(tmp_path, [END]).backend.count(Count(1, ((RAW, "hey"),)))
    assert counted == Counted(1, len("hey"), False)


def test_runs_work_side_by_side(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [*spelt("a"), END], [*spelt("bb"), END])
    stage.backend.begin(begin(run=1, input_ids=PROMPT))
    stage.backend.begin(begin(run=2, input_ids=PROMPT))
    assert [piece.text for piece in stage.step().pieces] == ["a", "b"]
    assert [over.run for over in stage.to_the_end().over] == [1, 2]


def test_choices_are_sequences_with_seeds_of_their_own(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [*spelt("a"), END], [*spelt("b"), END])
    stage.backend.begin(begin(input_ids=PROMPT, choices=2, seed=9, temperature=0.5))
    seeds = [sequence.config.rng_seed for sequence in stage.pipeline.sequences]
    assert seeds == [9, 10]
    out = stage.to_the_end()
    assert [(piece.choice, piece.text) for piece in out.pieces if piece.text] == [
        (0, "a"),
        (1, "b"),
    ]
    assert out.over == [Over(1, 3, 4)]


def test_without_a_seed_each_run_has_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter([2**63 - 1, 4])
    monkeypatch.setattr(worker, "randbits", lambda bits: next(numbers))
    stage = Stage(tmp_path, [], [], [])
    stage.backend.begin(begin(input_ids=PROMPT, choices=2))
    stage.backend.begin(begin(run=2, input_ids=PROMPT))
    seeds = [sequence.config.rng_seed for sequence in stage.pipeline.sequences]
    assert seeds == [2**63 - 1, 0, 4]


def config_of(stage: Stage, **wishes: Any) -> Any:
    stage.backend.begin(begin(input_ids=PROMPT, **wishes))
    return stage.pipeline.sequences[-1].config


def test_wishes_reach_the_engine(tmp_path: Path) -> None:
    config = config_of(
        Stage(tmp_path, []),
        temperature=0.5,
        top_p=0.9,
        seed=4,
        presence_penalty=0.3,
        frequency_penalty=-0.4,
        output_tokens_max=11,
        logprobs=0,
        grammar="root ::= r0",
    )
    assert (config.do_sample, config.temperature, config.top_p, config.rng_seed) == (
        True,
        0.5,
        0.9,
        4,
    )
    assert (config.presence_penalty, config.frequency_penalty) == (0.3, -0.4)
    assert (config.max_new_tokens, config.logprobs) == (11, 1)
    assert config.structured_output_config.grammar == "root ::= r0"
    assert config.apply_chat_template is False


def test_defaults_stand_where_nothing_is_wished(tmp_path: Path) -> None:
    config = config_of(Stage(tmp_path, [], temperature=0.7))
    assert (config.do_sample, config.temperature, config.top_p) == (True, 0.7, 1.0)
    assert config.max_new_tokens == 512 - 3
    assert config.logprobs == 0
    assert config.structured_output_config is None


@pytest.mark.parametrize("wish", [{"temperature": 0.0}, {"top_p": 0.0}])
def test_nothing_to_choose_from_is_greedy(tmp_path: Path, wish: dict[str, float]) -> None:
    assert config_of(Stage(tmp_path, []), **wish).do_sample is False


def test_the_limit_never_passes_the_window(tmp_path: Path) -> None:
    assert config_of(Stage(tmp_path, []), output_tokens_max=9999).max_new_tokens == 509


def test_a_prompt_without_room_is_refused_with_its_length(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with pytest.raises(RefusedError) as caught:
        stage.backend.begin(begin(input_ids=array("I", [1] * 512).tobytes()))
    assert caught.value.code == "CONTEXT_LENGTH_EXCEEDED"
    assert caught.value.input_tokens == 512
    assert not stage.backend.busy


def test_a_call_that_the_engine_refuses_leaves_no_choice_behind(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [END])
    add = stage.pipeline.add_request

    def second_fails(*arguments: Any) -> Any:
        if stage.pipeline.sequences:
            raise RuntimeError("no")
        return add(*arguments)

    stage.pipeline.add_request = second_fails  # type: ignore[method-assign]
    with pytest.raises(RefusedError) as caught:
        stage.backend.begin(begin(input_ids=PROMPT, choices=2))
    assert caught.value.code == "ENGINE_FAILED"
    assert [sequence.status for sequence in stage.pipeline.sequences] == ["CANCEL"]
    assert not stage.backend.busy


def test_a_stop_string_ends_the_sequence_in_the_engine(tmp_path: Path) -> None:
    stage = Stage(tmp_path, spelt("one, two, three"))
    stage.backend.begin(begin(input_ids=PROMPT, stop=(", tw",)))
    out = stage.to_the_end()
    assert "".join(piece.text for piece in out.pieces) == "one"
    assert out.pieces[-1].finish == "stop"
    assert out.over == [Over(1, 3, len("one, tw"))]
    assert sum(piece.output_tokens for piece in out.pieces) == len("one, tw")
    assert stage.pipeline.sequences[0].status == "CANCEL"


def test_the_limit_ends_with_length_and_lets_all_text_out(tmp_path: Path) -> None:
    stage = Stage(tmp_path, spelt("abc"))
    stage.backend.begin(begin(input_ids=PROMPT, output_tokens_max=2, stop=("bx",)))
    out = stage.to_the_end()
    assert "".join(piece.text for piece in out.pieces) == "ab"
    assert out.pieces[-1] == Piece(1, 0, "b", 1, finish="length")


def test_half_characters_send_nothing_yet(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [*spelt("é"), END])
    stage.backend.begin(begin(input_ids=PROMPT))
    assert stage.step().pieces == []
    assert stage.step().pieces == [Piece(1, 0, "é", 2)]


def test_logprobs_are_the_engines_and_the_end_has_none(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [*spelt("h"), END])
    stage.backend.begin(begin(input_ids=PROMPT, logprobs=0))
    pieces = stage.to_the_end().pieces
    assert pieces[0].logprobs == (Logprob("h", -1.0),)
    assert pieces[1].logprobs == ()


def test_cancel_drops_all_choices_and_tells_what_was_made(tmp_path: Path) -> None:
    stage = Stage(tmp_path, spelt("abc"), spelt("abc"))
    stage.backend.begin(begin(input_ids=PROMPT, choices=2))
    stage.step()
    out = StepOut()
    stage.backend.cancel(1, out)
    stage.backend.cancel(1, out)
    assert out.over == [Over(1, 3, 2, cancelled=True)]
    assert [sequence.status for sequence in stage.pipeline.sequences] == ["CANCEL"] * 2
    assert not stage.backend.busy
    assert not stage.step()


def test_a_choice_that_is_over_is_not_cancelled_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [END], spelt("abc"))
    stage.backend.begin(begin(input_ids=PROMPT, choices=2))
    stage.step()
    stage.backend.cancel(1, StepOut())
    assert [sequence.status for sequence in stage.pipeline.sequences] == ["FINISHED", "CANCEL"]


def test_a_full_cache_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    stage = Stage(tmp_path, spelt("abc"), [*spelt("xyz"), END])
    stage.backend.begin(begin(run=1, input_ids=PROMPT))
    stage.backend.begin(begin(run=2, input_ids=PROMPT))
    stage.step()
    stage.pipeline.sequences[0].status = "IGNORED"
    out = stage.step()
    assert [refused.run for refused in out.refused] == [1]
    assert out.refused[0].code == "ENGINE_FAILED"
    assert "cache" in out.refused[0].public
    assert [over.run for over in stage.to_the_end().over] == [2]


def test_a_sequence_that_stops_without_a_reason_has_failed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, spelt("abc"))
    stage.backend.begin(begin(run=1, input_ids=PROMPT))
    stage.pipeline.sequences[0].status = "STOP"
    assert stage.step().refused == [Refused(1, "ENGINE_FAILED", "The engine gave up.")]


def test_another_vocabulary_is_refused_and_the_other_engine_named(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "b.gguf", {**tiny_vocabulary(), "tokenizer.ggml.model": "llama"})
    with pytest.raises(BrokenError, match="llamacpp"):
        OpenVino(Package(), tensor_of, EmbeddedOptions(str(path)))


def options_json(path: Path) -> bytes:
    return json.dumps({"gguf_path": str(path)}).encode()


@pytest.fixture(autouse=True)
def _telemetry_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    # ``load`` keeps it from being imported; that is for a child, not for the test run.
    monkeypatch.setitem(sys.modules, "openvino_telemetry", None)


def given_package(monkeypatch: pytest.MonkeyPatch, package: object) -> None:
    monkeypatch.setitem(sys.modules, "openvino_genai", package)
    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace(Tensor=list))
    monkeypatch.setitem(sys.modules, "numpy", SimpleNamespace(array=lambda ids, dtype: ids[0]))


def test_load_builds_the_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_package(monkeypatch, Package())
    backend = load(options_json(write_gguf(tmp_path / "a.gguf", tiny_vocabulary())))
    assert backend.ready.context_tokens == 512
    assert backend._tensor_of(array("I", [1, 2])) == [1, 2]


def test_load_names_the_install_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino_genai", None)
    with pytest.raises(BrokenError, match=r"pip install 'tokenbooth\[embedded\]'") as caught:
        load(options_json(tmp_path / "a.gguf"))
    assert caught.value.code == "ENGINE_NOT_INSTALLED"


def test_load_tells_of_a_bad_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_package(monkeypatch, Package())
    with pytest.raises(BrokenError, match="cannot be read") as caught:
        load(options_json(tmp_path / "absent.gguf"))
    assert caught.value.code == "INVALID_VALUE"


@pytest.mark.parametrize(("said", "told"), [("a\nthe cause", "the cause"), ("", "no reason")])
def test_load_tells_what_openvino_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    class Failing(Package):
        def ContinuousBatchingPipeline(  # noqa: N802
            self, path: str, scheduler: Any, device: str
        ) -> Pipeline:
            raise RuntimeError(said)

    given_package(monkeypatch, Failing())
    with pytest.raises(BrokenError, match=told) as caught:
        load(options_json(write_gguf(tmp_path / "a.gguf", tiny_vocabulary())))
    assert caught.value.code == "ENGINE_NOT_READY"


def test_the_template_gets_tools_and_variables(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [END])
    message = {"role": "user", "content": "hi"}
    asked = {"messages": [message], "tools": [{"a": 1}], "variables": {"enable_thinking": True}}
    stage.backend.begin(begin(messages=(), template_json=json.dumps(asked)))
    (ids,) = stage.pipeline.prompts
    more = {"tools": [{"a": 1}], "extra_context": {"enable_thinking": True}}
    assert json.loads(bytes(ids)) == [[message], more]
    assert stage.to_the_end().refused == []


def test_a_prompt_that_ends_in_a_thought_is_told(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    assert not stage.backend.count(Count(4, (("assistant", "<think>\n"),))).in_thought
    asked = {"messages": [], "variables": {"x": "<think>"}}
    assert not stage.backend.count(Count(4, (), json.dumps(asked))).in_thought


def test_messages_that_the_template_refuses_are_the_callers_fault(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.backend._tokenizer.refuses = True
    with pytest.raises(RefusedError) as caught:
        stage.backend.count(Count(1, (("user", "c"),)))
    assert (caught.value.code, caught.value.param) == ("INVALID_VALUE", "messages")

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.catalog.models.rules import (
    CONCURRENCY_MAX,
    DEPLOYMENTS_MAX,
    OPTIONS_MAX,
    QUEUE_MAX,
    QUEUE_WAIT_MAX_S,
    SEALED_BYTES_MAX,
    TEXT_CHARACTERS_MAX,
    TOKENS_MAX,
    checked_ask,
    checked_name,
    is_name,
)
from tokenbooth.catalog.models.values import DeploymentAsk, EngineKind, ModelAsk
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

SCRIPTED = DeploymentAsk(engine=EngineKind.SCRIPTED)
EMBEDDED = DeploymentAsk(engine=EngineKind.EMBEDDED, gguf_path="/weights/a.gguf")
LLAMACPP = DeploymentAsk(engine=EngineKind.LLAMACPP, gguf_path="/weights/a.gguf")
UPSTREAM = DeploymentAsk(engine=EngineKind.UPSTREAM, upstream_url="http://127.0.0.1:8000/v1")
ASK = ModelAsk(name="small", deployments=(SCRIPTED,))


def refusal(ask: ModelAsk) -> Problem:
    with pytest.raises(Problem) as caught:
        checked_ask(ask)
    return caught.value


def refused_deployment(deployment: DeploymentAsk) -> Problem:
    return refusal(replace(ASK, deployments=(deployment,)))


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "7",
        "gpt-4o",
        "smollm2-135m",
        "org/model:tag",
        "a.b_c",
        "x" * 64,
        "A/b",
        "m--",
        "q8_0.",
    ],
)
def test_usual_model_names_are_accepted(name: str) -> None:
    assert checked_name(name) == name
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 65,
        "a b",
        " a",
        "a\n",
        "a\0",
        "é",
        "٣",
        "\ud800",
        "-a",
        ".a",
        "/a",
        "a/",
        "a//b",
        "a/b/c",
        "a/../b",
        "..",
        "a/./b",
        "a\\b",
        "a%2fb",
        "a?b",
        "a#b",
        "a'b",
        "a,b",
    ],
)
def test_names_that_are_no_safe_piece_of_a_path_are_refused(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(Problem) as caught:
        checked_name(name)
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == "name"


@given(st.text(max_size=80))
def test_every_accepted_name_is_plain_ascii_without_empty_parts(name: str) -> None:
    if is_name(name):
        assert name.isascii()
        assert name.isprintable()
        assert all(part.strip(".") for part in name.split("/"))
        assert 1 <= len(name) <= 64


@pytest.mark.parametrize("deployment", [SCRIPTED, EMBEDDED, LLAMACPP, UPSTREAM])
def test_each_engine_can_be_asked_for(deployment: DeploymentAsk) -> None:
    ask = replace(ASK, deployments=(deployment,))
    assert checked_ask(ask) is ask


def test_an_upstream_may_have_all_of_its_fields() -> None:
    full = replace(UPSTREAM, upstream_model="their/name v1", upstream_key_sealed=b"tb1:x")
    ask = replace(ASK, deployments=(full,), context_tokens=1, output_tokens_max=TOKENS_MAX)
    assert checked_ask(ask) is ask


def test_the_widest_bounds_are_accepted() -> None:
    wide = replace(
        SCRIPTED,
        concurrency_max=CONCURRENCY_MAX,
        queue_max=QUEUE_MAX,
        queue_wait_max_s=QUEUE_WAIT_MAX_S,
        options={f"o{n}": "" for n in range(OPTIONS_MAX)},
    )
    narrow = replace(SCRIPTED, concurrency_max=1, queue_max=0, queue_wait_max_s=0)
    ask = replace(ASK, deployments=(wide, narrow) * (DEPLOYMENTS_MAX // 2))
    assert checked_ask(ask) is ask


@pytest.mark.parametrize("param", ["context_tokens", "output_tokens_max"])
@pytest.mark.parametrize("tokens", [0, -1, TOKENS_MAX + 1, True, 1.5])
def test_impossible_token_counts_are_refused(param: str, tokens: Any) -> None:
    problem = refusal(replace(ASK, **{param: tokens}))
    assert (problem.code, problem.param) == (Code.INVALID_VALUE, param)


@pytest.mark.parametrize("count", [0, DEPLOYMENTS_MAX + 1])
def test_the_number_of_deployments_is_bounded(count: int) -> None:
    problem = refusal(replace(ASK, deployments=(SCRIPTED,) * count))
    assert (problem.code, problem.param) == (Code.INVALID_VALUE, "deployments")


def test_the_name_is_looked_at_too() -> None:
    assert refusal(replace(ASK, name="a b")).param == "name"


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("concurrency_max", 0),
        ("concurrency_max", CONCURRENCY_MAX + 1),
        ("queue_max", -1),
        ("queue_max", QUEUE_MAX + 1),
        ("queue_wait_max_s", -1),
        ("queue_wait_max_s", QUEUE_WAIT_MAX_S + 1),
        ("queue_wait_max_s", 1.5),
    ],
)
def test_queues_are_bounded(param: str, value: Any) -> None:
    problem = refused_deployment(replace(SCRIPTED, **{param: value}))
    assert (problem.code, problem.param) == (Code.INVALID_VALUE, param)


@pytest.mark.parametrize(
    ("deployment", "param"),
    [
        (DeploymentAsk(engine=EngineKind.EMBEDDED), "gguf_path"),
        (DeploymentAsk(engine=EngineKind.LLAMACPP), "gguf_path"),
        (DeploymentAsk(engine=EngineKind.UPSTREAM), "upstream_url"),
    ],
)
def test_what_an_engine_needs_must_be_there(deployment: DeploymentAsk, param: str) -> None:
    problem = refused_deployment(deployment)
    assert (problem.code, problem.param) == (Code.MISSING_FIELD, param)


@pytest.mark.parametrize(
    ("deployment", "param"),
    [
        (replace(SCRIPTED, gguf_path="/a"), "gguf_path"),
        (replace(SCRIPTED, upstream_url="http://a"), "upstream_url"),
        (replace(EMBEDDED, upstream_url="http://a"), "upstream_url"),
        (replace(EMBEDDED, upstream_model="a"), "upstream_model"),
        (replace(LLAMACPP, upstream_key_sealed=b"a"), "upstream_key"),
        (replace(UPSTREAM, gguf_path="/a"), "gguf_path"),
    ],
)
def test_what_belongs_to_another_engine_is_refused(deployment: DeploymentAsk, param: str) -> None:
    problem = refused_deployment(deployment)
    assert (problem.code, problem.param) == (Code.UNKNOWN_FIELD, param)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "https://api.example.com/v1",
        "http://127.0.0.1:8000/v1/",
        "http://[::1]:8000/v1",
        "https://under_score.example:65535",
    ],
)
def test_usual_upstream_addresses_are_accepted(url: str) -> None:
    ask = replace(ASK, deployments=(replace(UPSTREAM, upstream_url=url),))
    assert checked_ask(ask) is ask


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "//host/v1",
        "http://",
        "http:///v1",
        "ftp://host",
        "file:///etc/passwd",
        "http://name:secret@host/v1",
        "http://@host",
        "http://host/v1?key=secret",
        "http://host/v1#part",
        "http://host:0",
        "http://host:70000",
        "http://host:port",
        "http://[::1",
        "http://ho st",
        "http://host/\r\nx: y",
        "http://host\0",
        "http://hôst",
        "http://" + "a" * TEXT_CHARACTERS_MAX,
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    problem = refused_deployment(replace(UPSTREAM, upstream_url=url))
    assert (problem.code, problem.param) == (Code.INVALID_VALUE, "upstream_url")
    assert "secret" not in problem.public


@pytest.mark.parametrize(
    ("deployment", "param"),
    [
        (replace(EMBEDDED, gguf_path=""), "gguf_path"),
        (replace(EMBEDDED, gguf_path="/a\0"), "gguf_path"),
        (replace(EMBEDDED, gguf_path="/a\ud800"), "gguf_path"),
        (replace(EMBEDDED, gguf_path="a" * (TEXT_CHARACTERS_MAX + 1)), "gguf_path"),
        (replace(UPSTREAM, upstream_model=""), "upstream_model"),
        (replace(UPSTREAM, upstream_model="a\nb"), "upstream_model"),
        (replace(UPSTREAM, upstream_key_sealed=b""), "upstream_key"),
        (replace(UPSTREAM, upstream_key_sealed=bytes(SEALED_BYTES_MAX + 1)), "upstream_key"),
        (replace(SCRIPTED, options={"A": "1"}), "options"),
        (replace(SCRIPTED, options={"": "1"}), "options"),
        (replace(SCRIPTED, options={"a" * 65: "1"}), "options"),
        (replace(SCRIPTED, options={f"o{n}": "1" for n in range(OPTIONS_MAX + 1)}), "options"),
        (replace(SCRIPTED, options={"seed": "1\0"}), "options.seed"),
        (replace(SCRIPTED, options={"a": "1" * (TEXT_CHARACTERS_MAX + 1)}), "options.a"),
    ],
)
def test_texts_are_bounded_and_printable(deployment: DeploymentAsk, param: str) -> None:
    problem = refused_deployment(deployment)
    assert (problem.code, problem.param) == (Code.INVALID_VALUE, param)


def test_a_sealed_key_is_not_printed() -> None:
    assert "tb1" not in repr(replace(UPSTREAM, upstream_key_sealed=b"tb1:abc"))

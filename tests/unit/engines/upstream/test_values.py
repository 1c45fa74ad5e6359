"""Where an upstream is: only what can be sent safely is accepted."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.features import Feature
from tokenbooth.engines.upstream.values import Target, UpstreamOptions, target_of


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://far", Target("far", 80, False, "far", "")),
        ("https://far", Target("far", 443, True, "far", "")),
        ("http://far:8000/v1", Target("far", 8000, False, "far:8000", "/v1")),
        ("https://far/v1/", Target("far", 443, True, "far", "/v1")),
        ("http://10.0.0.1:80/a/b", Target("10.0.0.1", 80, False, "10.0.0.1:80", "/a/b")),
        ("http://[::1]:9/v1", Target("::1", 9, False, "[::1]:9", "/v1")),
        ("HTTP://Far/v1", Target("far", 80, False, "Far", "/v1")),
    ],
)
def test_a_url_is_split(url: str, target: Target) -> None:
    assert target_of(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "far:8000",
        "ftp://far",
        "http://",
        "http://user:word@far",
        "http://far?x=1",
        "http://far#part",
        "http://far?",
        "http://far#",
        "http://far/ v1",
        "http://far/v1\r\nx: y",
        "http://far\t",
        "http://fär",
        "http://far:0",
        "http://far:99999",
        "http://far:port",
        "http://far/\x7f",
    ],
)
def test_a_url_that_could_smuggle_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"base_url|[Pp]ort"):
        target_of(url)


@given(st.text())
def test_no_url_brings_control_characters_or_blanks_into_a_request(url: str) -> None:
    try:
        target = target_of(f"http://far/{url}")
    except ValueError:
        return
    assert all("!" <= character <= "~" for character in target.path + target.authority)


@pytest.mark.parametrize("key", ["", "a b", "a\r\nx: y", "a\x00", "schlüssel", "a\n"])
def test_a_key_that_could_smuggle_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValueError, match="key must be printable") as caught:
        UpstreamOptions("http://far", "m", key=key)
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"model": ""},
        {"connect_timeout_ms": 0},
        {"first_byte_timeout_ms": 10**8},
        {"idle_timeout_ms": -1},
        {"health_timeout_ms": 0},
        {"pool_max": 0},
        {"pool_idle_ms": 0},
        {"context_tokens": 0},
        {"answer_bytes_max": 0},
        {"event_bytes_max": 0},
        {"counters_path": "metrics"},
        {"counters_path": "/a b"},
        {"counters_path": "/a\r\nx: y"},
    ],
)
def test_impossible_options_are_refused_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        UpstreamOptions(**{"base_url": "http://far", "model": "m"} | fields)


def test_the_key_is_not_shown() -> None:
    assert "topsecret" not in repr(UpstreamOptions("http://far", "m", key="topsecret"))


def test_by_default_an_upstream_takes_all_but_media() -> None:
    options = UpstreamOptions("http://far", "m")
    assert frozenset(Feature) - options.all_features == {Feature.IMAGES, Feature.AUDIO}


@pytest.mark.parametrize(("said", "feature"), [("sees", Feature.IMAGES), ("hears", Feature.AUDIO)])
def test_what_a_model_takes_besides_text_is_said_in_a_word(said: str, feature: Feature) -> None:
    options = UpstreamOptions("http://far", "m", **{said: True})
    assert options.all_features - options.features == {feature}

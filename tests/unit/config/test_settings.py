"""One file, one environment, one frozen tree: every value has an origin, every typo a name."""

import tomllib
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.config import (
    CONFIG_BYTES_MAX,
    RULES,
    Origin,
    Settings,
    Source,
    child_environment,
    client_settings,
    commented_defaults,
    data_dir_of,
    load_settings,
    shown,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.options import mask_password


def write_file(home: Path, text: str) -> None:
    (home / "tokenbooth.toml").write_text(text, encoding="utf-8")


def refusal(home: Path, **variables: str) -> Problem:
    with pytest.raises(Problem) as caught:
        load_settings(home, variables)
    return caught.value


def test_without_a_file_every_value_is_a_default(tmp_path: Path) -> None:
    loaded = load_settings(tmp_path, {})
    assert loaded.settings.edge.port == 8000
    assert loaded.settings.store.url == f"sqlite:///{tmp_path}/tokenbooth.db"
    assert set(loaded.origins.values()) == {Origin(Source.DEFAULT)}


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    write_file(tmp_path, "# a comment\n[edge]\nport = 1234\nhost = '::1'\n")
    loaded = load_settings(tmp_path, {"TOKENBOOTH_EDGE__PORT": "4321"})
    assert (loaded.settings.edge.port, loaded.settings.edge.host) == (4321, "::1")
    assert loaded.origins["edge.port"] == Origin(Source.ENVIRONMENT, "TOKENBOOTH_EDGE__PORT")
    assert loaded.origins["edge.host"] == Origin(Source.FILE, "tokenbooth.toml:4")


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {}).settings
    with pytest.raises(FrozenInstanceError):
        settings.data_dir = tmp_path  # type: ignore[misc]


def test_an_unknown_section_is_refused_with_its_line(tmp_path: Path) -> None:
    write_file(tmp_path, "[edge]\nport = 1\n\n[egde]\nport = 2\n")
    problem = refusal(tmp_path)
    assert problem.code is Code.UNKNOWN_FIELD
    assert problem.param == "egde"
    assert "tokenbooth.toml:4" in problem.public
    assert "gateway" in problem.public


def test_an_unknown_key_is_refused_with_its_line_and_the_known_names(tmp_path: Path) -> None:
    write_file(tmp_path, "[edge]\nhost = 'a'\nprot = 1\n")
    problem = refusal(tmp_path)
    assert problem.param == "edge.prot"
    assert "tokenbooth.toml:3" in problem.public
    assert "port" in problem.public


def test_a_dotted_key_keeps_its_place(tmp_path: Path) -> None:
    write_file(tmp_path, "edge.port = 77\n")
    loaded = load_settings(tmp_path, {})
    assert loaded.settings.edge.port == 77
    assert loaded.origins["edge.port"] == Origin(Source.FILE, "tokenbooth.toml:1")


def test_a_section_that_is_no_table_is_refused(tmp_path: Path) -> None:
    write_file(tmp_path, "edge = 3\n")
    problem = refusal(tmp_path)
    assert (problem.code, problem.param) == (Code.WRONG_TYPE, "edge")


def test_an_unknown_variable_of_a_section_is_refused(tmp_path: Path) -> None:
    problem = refusal(tmp_path, TOKENBOOTH_EDGE__PROT="1")
    assert (problem.code, problem.param) == (Code.UNKNOWN_FIELD, "TOKENBOOTH_EDGE__PROT")


def test_variables_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    variables = {"PATH": "x", "TOKENBOOTH_TEST_PG_BIN": "/x", "OTHER__PORT": "z"}
    assert load_settings(tmp_path, variables) == load_settings(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "code", "param"),
    [
        ("[edge]\nport = 65536", Code.INVALID_VALUE, "edge.port"),
        ("[edge]\nport = -1", Code.INVALID_VALUE, "edge.port"),
        ("[edge]\nport = '80'", Code.WRONG_TYPE, "edge.port"),
        ("[edge]\nport = true", Code.WRONG_TYPE, "edge.port"),
        ("[edge]\nport = 80.5", Code.WRONG_TYPE, "edge.port"),
        ("[edge]\nhost = ''", Code.INVALID_VALUE, "edge.host"),
        ("[edge]\nhost = ' '", Code.INVALID_VALUE, "edge.host"),
        ('[edge]\nhost = "a\\u0000b"', Code.INVALID_VALUE, "edge.host"),
        ("[gateway]\nbody_bytes_max = 10", Code.INVALID_VALUE, "gateway.body_bytes_max"),
        ("[log]\nlevel = 'loud'", Code.WRONG_TYPE, "log.level"),
        ("[metrics]\nloopback_only = 1", Code.WRONG_TYPE, "metrics.loopback_only"),
        ("[safety]\nblocked_phrases = 'x'", Code.WRONG_TYPE, "safety.blocked_phrases"),
    ],
)
def test_an_impossible_value_is_named(tmp_path: Path, text: str, code: Code, param: str) -> None:
    write_file(tmp_path, text)
    problem = refusal(tmp_path)
    assert (problem.code, problem.param) == (code, param)
    assert "tokenbooth.toml:2" in problem.public


def test_a_refused_number_names_the_range(tmp_path: Path) -> None:
    problem = refusal(tmp_path, TOKENBOOTH_EDGE__PORT="99999")
    assert "from 0 to 65535" in problem.public
    assert "environment TOKENBOOTH_EDGE__PORT" in problem.public


def test_lists_and_booleans_come_from_the_environment_too(tmp_path: Path) -> None:
    loaded = load_settings(
        tmp_path,
        {
            "TOKENBOOTH_SAFETY__BLOCKED_PHRASES": '["one", "two"]',
            "TOKENBOOTH_METRICS__LOOPBACK_ONLY": "false",
        },
    )
    assert loaded.settings.safety.blocked_phrases == ("one", "two")
    assert loaded.settings.metrics.loopback_only is False


def test_thresholds_of_alerts_are_rising_percentages(tmp_path: Path) -> None:
    write_file(tmp_path, "[till]\nalert_percents = [25, 75]")
    assert load_settings(tmp_path, {}).settings.till.alert_percents == (25, 75)
    off = load_settings(tmp_path, {"TOKENBOOTH_TILL__ALERT_PERCENTS": "[]"})
    assert off.settings.till.alert_percents == ()
    write_file(tmp_path, "[till]\nalert_percents = [75, 25]")
    problem = refusal(tmp_path)
    assert (problem.code, problem.param) == (Code.INVALID_VALUE, "till.alert_percents")


def test_a_broken_list_in_the_environment_is_refused(tmp_path: Path) -> None:
    problem = refusal(tmp_path, TOKENBOOTH_SAFETY__BLOCKED_PHRASES="[oops")
    assert problem.param == "TOKENBOOTH_SAFETY__BLOCKED_PHRASES"


@pytest.mark.parametrize("content", [b"[edge\n", b"\xff\xfe", b"[edge]\nport=1\nport=2\n"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenbooth.toml").write_bytes(content)
    assert "not valid TOML" in refusal(tmp_path).public


def test_an_endless_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenbooth.toml").write_bytes(b"#" * (CONFIG_BYTES_MAX + 1))
    assert "larger than" in refusal(tmp_path).public


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenbooth.toml").mkdir()
    assert "cannot be read" in refusal(tmp_path).public


def test_every_setting_has_a_rule_and_every_rule_a_setting(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {}).settings
    names = set()
    for section in fields(Settings):
        options = getattr(settings, section.name)
        if is_dataclass(options):
            names |= {f"{section.name}.{option.name}" for option in fields(options)}
    assert names == set(RULES)


def test_every_default_obeys_its_own_rule(tmp_path: Path) -> None:
    for setting in shown(load_settings(tmp_path, {})):
        if isinstance(setting.value, int | float) and not isinstance(setting.value, bool):
            rule = RULES[setting.name]
            assert rule.low < rule.high
            assert rule.low <= setting.value <= rule.high


def test_the_commented_file_is_valid_and_changes_nothing(tmp_path: Path) -> None:
    before = load_settings(tmp_path, {})
    write_file(tmp_path, commented_defaults())
    assert load_settings(tmp_path, {}) == before


def test_the_commented_file_without_its_marks_says_the_defaults(tmp_path: Path) -> None:
    text = commented_defaults()
    lines = [
        line.removeprefix("# ")
        for line in text.splitlines()
        if line.startswith("[") or (line.startswith("# ") and " = " in line)
    ]
    tree = tomllib.loads("\n".join(lines))
    assert tree["store"].pop("url") == ""
    defaults = load_settings(tmp_path, {}).settings
    write_file(tmp_path, "\n".join(line for line in lines if not line.startswith("url")))
    loaded = load_settings(tmp_path, {})
    assert loaded.settings == defaults
    for section, table in tree.items():
        options = getattr(loaded.settings, section)
        assert {name: getattr(options, name) for name in table} == {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in table.items()
        }


def test_shown_lists_every_setting_once_and_hides_passwords(tmp_path: Path) -> None:
    url = "postgresql://booth:s3cret@db.internal/booth"
    rows = list(shown(load_settings(tmp_path, {"TOKENBOOTH_STORE__URL": url})))
    assert {row.name for row in rows} == set(RULES)
    assert len(rows) == len(RULES)
    (row,) = [row for row in rows if row.name == "store.url"]
    assert row.value == "postgresql://booth:***@db.internal/booth"
    assert str(row.origin) == "environment TOKENBOOTH_STORE__URL"


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=12))
def test_no_password_survives_masking(password: str) -> None:
    assert password not in mask_password(f"postgresql://role:{password}@host/db")


@pytest.mark.parametrize("url", ["sqlite:////tmp/a.db", "postgresql://host/db", "http://h:80/x"])
def test_masking_leaves_other_addresses_alone(url: str) -> None:
    assert mask_password(url) == url


def test_the_data_directory_comes_from_the_option_then_the_variable(tmp_path: Path) -> None:
    variables = {"TOKENBOOTH_DATA_DIR": str(tmp_path / "variable")}
    assert data_dir_of(tmp_path / "option", variables) == tmp_path / "option"
    assert data_dir_of(None, variables) == tmp_path / "variable"
    assert data_dir_of(None, {}) == Path.home() / ".tokenbooth"
    assert data_dir_of(Path("here"), {}).is_absolute()
    assert load_settings(None, variables).settings.data_dir == tmp_path / "variable"


def test_the_process_environment_is_the_default_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENBOOTH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TOKENBOOTH_EDGE__PORT", "81")
    monkeypatch.setenv("TOKENBOOTH_API_KEY", "k")
    monkeypatch.delenv("TOKENBOOTH_BASE_URL", raising=False)
    assert data_dir_of(None) == tmp_path
    assert load_settings().settings.edge.port == 81
    assert client_settings().api_key == "k"
    assert client_settings().base_url is None
    assert child_environment({"A": "1"})["TOKENBOOTH_EDGE__PORT"] == "81"
    assert child_environment({"A": "1"})["A"] == "1"


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite://relative.db", "sqlite:///"])
def test_an_address_that_no_store_can_open_is_refused(tmp_path: Path, url: str) -> None:
    assert refusal(tmp_path, TOKENBOOTH_STORE__URL=url).code is Code.INVALID_VALUE


@given(st.integers())
def test_a_port_is_accepted_exactly_in_its_range(port: int) -> None:
    variables = {"TOKENBOOTH_EDGE__PORT": str(port)}
    nowhere = Path("/nonexistent")
    if 0 <= port <= 65535:
        assert load_settings(nowhere, variables).settings.edge.port == port
    else:
        with pytest.raises(Problem):
            load_settings(nowhere, variables)

"""The engine that is there, else the command that brings one."""

import sys

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.choose import (
    EMBEDDED,
    LLAMACPP,
    LocalEngine,
    Machine,
    choose,
    installed,
    this_machine,
)

LINUX = Machine("linux", "x86_64", "glibc", (3, 12))


def problem_of(wanted: str | None, machine: Machine) -> Problem:
    with pytest.raises(Problem) as caught:
        choose(wanted, machine=machine, is_installed=lambda _: False)
    return caught.value


def test_the_first_installed_engine_is_chosen() -> None:
    assert choose(is_installed=lambda _: True) is EMBEDDED
    assert choose(is_installed=lambda module: module == "xllamacpp") is LLAMACPP


def test_a_wanted_engine_is_chosen_when_it_is_installed() -> None:
    assert choose("llamacpp", is_installed=lambda _: True) is LLAMACPP


@pytest.mark.parametrize(
    ("wanted", "machine", "extra"),
    [
        (None, LINUX, "embedded"),
        (None, Machine("linux", "aarch64", "glibc", (3, 11)), "embedded"),
        (None, Machine("darwin", "arm64", "", (3, 13)), "embedded"),
        (None, Machine("darwin", "x86_64", "", (3, 13)), "llamacpp"),
        (None, Machine("linux", "x86_64", "glibc", (3, 15)), "llamacpp"),
        ("llamacpp", LINUX, "llamacpp"),
        ("embedded", LINUX, "embedded"),
    ],
)
def test_the_exact_command_is_named(wanted: str | None, machine: Machine, extra: str) -> None:
    problem = problem_of(wanted, machine)
    assert problem.code is Code.ENGINE_NOT_INSTALLED
    assert f"{sys.executable} -m pip install 'tokenbooth[{extra}]'" in problem.public


def test_one_command_brings_the_engine_and_what_else_is_missing() -> None:
    with pytest.raises(Problem) as caught:
        choose(also=("openai",), machine=LINUX, is_installed=lambda _: False)
    command = f"{sys.executable} -m pip install 'tokenbooth[embedded,openai]'"
    assert caught.value.public.endswith(command)
    assert choose(also=("openai",), machine=LINUX, is_installed=lambda _: True) is EMBEDDED


@pytest.mark.parametrize(
    ("wanted", "machine"),
    [
        (None, Machine("linux", "x86_64", "", (3, 12))),
        (None, Machine("linux", "riscv64", "glibc", (3, 12))),
        (None, Machine("win32", "AMD64", "", (3, 12))),
        ("embedded", Machine("darwin", "x86_64", "", (3, 12))),
    ],
)
def test_without_a_wheel_an_upstream_is_suggested(wanted: str | None, machine: Machine) -> None:
    problem = problem_of(wanted, machine)
    assert problem.code is Code.ENGINE_NOT_INSTALLED
    assert "--upstream" in problem.public
    assert machine.machine in problem.public
    assert "pip install" not in problem.public


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    problem = problem_of("gpu", LINUX)
    assert problem.code is Code.INVALID_VALUE
    assert "embedded, llamacpp" in problem.public


def test_other_extras_are_named_in_the_same_command() -> None:
    with pytest.raises(Problem, match=r"'tokenbooth\[embedded,openai\]'"):
        choose(also=("openai",), machine=LINUX, is_installed=lambda _: False)


def test_this_machine_is_looked_at_when_none_is_given() -> None:
    machine = this_machine()
    assert machine.python == sys.version_info[:2]
    with pytest.raises(Problem) as caught:
        choose(is_installed=lambda _: False)
    fits = any(engine.fits(machine) for engine in (EMBEDDED, LLAMACPP))
    assert ("pip install" in caught.value.public) is fits


def test_a_module_is_looked_for_and_not_loaded() -> None:
    sys.modules.pop("this", None)
    assert installed("this")
    assert "this" not in sys.modules
    assert not installed("surely_not_there")


def test_a_newer_python_than_the_wheels_does_not_fit() -> None:
    engine = LocalEngine("x", "x", frozenset({("linux", "x86_64")}), (3, 11))
    assert not engine.fits(LINUX)

"""Which URLs open a store."""

from pathlib import Path

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.open import open_store
from tokenbooth.store.options import StoreOptions


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///var/lib/booth.db", "/var/lib/booth.db"),
        ("sqlite:////var/lib/booth.db", "/var/lib/booth.db"),
        ("sqlite:///tmp/with space & ünïcode?.db", "/tmp/with space & ünïcode?.db"),
    ],
)
def test_a_sqlite_url_names_an_absolute_file(url: str, path: str) -> None:
    options = StoreOptions(url)
    assert options.is_sqlite
    assert options.sqlite_path == Path(path)
    options.check()


@pytest.mark.parametrize("url", ["postgresql://role@host/booth", "postgres:///booth?host=/run"])
def test_a_postgresql_url_is_taken_as_it_is(url: str) -> None:
    options = StoreOptions(url)
    assert not options.is_sqlite
    assert options.check() is None


@pytest.mark.parametrize(
    "url", ["", "booth.db", "sqlite://", "sqlite:///", "sqlite://booth.db", "mysql://host/booth"]
)
def test_any_other_url_is_refused_with_the_forms_that_work(url: str) -> None:
    with pytest.raises(Problem) as refused:
        open_store(StoreOptions(url))
    assert refused.value.code is Code.INVALID_VALUE
    assert refused.value.param == "url"
    assert "postgresql://" in refused.value.public

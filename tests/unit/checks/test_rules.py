"""Each rule finds its planted violation, and leaves the nearest right text alone."""

from collections.abc import Callable, Iterator

import pytest

from checks.source import Finding, Source
from checks.tidy import hazards, imports, money, names, reach, sizes, testing, words
from checks.tidy.tree import FILE_RULES

Rule = Callable[[Source], Iterator[Finding]]

MONEY = "tokenbooth/money/ledger/rules.py"
ROOM = "tokenbooth/gateway/serve.py"
LEDGER = "tokenbooth.money.ledger"


def long_function(lines: int, *, of: str = "def f() -> None:") -> str:
    return of + "\n" + "    a = 1\n" * (lines - 1)


PLANTED: list[tuple[Rule, str, str, str]] = [
    (sizes.file_length, "file-length", ROOM, "a = 1\n" * 401),
    (sizes.file_length, "file-length-hard", ROOM, "a = 1\n" * 501),
    (sizes.file_length, "file-length", "tests/unit/test_a.py", "a = 1\n" * 501),
    (sizes.function_length, "function-length", ROOM, long_function(61)),
    (sizes.function_length, "function-length-hard", ROOM, long_function(71)),
    (
        sizes.function_length,
        "function-length",
        ROOM,
        long_function(61, of="async def f() -> None:"),
    ),
    (sizes.class_length, "class-length", ROOM, long_function(201, of="class A:")),
    (sizes.parameter_count, "parameters", ROOM, "def f(a, b, c, d, e, f, g): ..."),
    (sizes.parameter_count, "parameters", ROOM, "def f(a, b, /, c, *, d, e, f, g): ..."),
    (names.banned_names, "names", "tokenbooth/gateway/utils.py", ""),
    (names.banned_names, "names", ROOM, "class EngineManager: ..."),
    (names.banned_names, "names", ROOM, "def handle(): ..."),
    (names.banned_names, "names", ROOM, "def f(user_info): ..."),
    (names.banned_names, "names", ROOM, "data = b''"),
    (names.banned_names, "names", ROOM, "class A:\n    def __init__(self): self.misc = 1"),
    (names.banned_names, "names", ROOM, "import json as common"),
    (names.mistaken_names, "meanings", ROOM, "def f(token): ..."),
    (names.mistaken_names, "meanings", ROOM, "access_token = ''"),
    (names.mistaken_names, "meanings", ROOM, "def f(user): ..."),
    (names.mistaken_names, "meanings", ROOM, "def f(request): ..."),
    (names.mistaken_names, "meanings", ROOM, "max_body_bytes = 1"),
    (names.unit_last, "units", ROOM, "def f(timeout: float): ..."),
    (names.unit_last, "units", ROOM, "class A:\n    deadline: int | None = None"),
    (money.no_float_in_money, "money-float", MONEY, "a = 0.5"),
    (money.no_float_in_money, "money-float", MONEY, "a = 1 / 2"),
    (money.no_float_in_money, "money-float", MONEY, "a /= 2"),
    (money.no_float_in_money, "money-float", MONEY, "def f(a: float): ..."),
    (money.no_float_in_money, "money-float", MONEY, "from decimal import Decimal"),
    (money.no_float_in_money, "money-float", MONEY, "import math"),
    (money.no_float_in_money, "money-float", "tokenbooth/core/money.py", "a = round(b)"),
    (money.no_division_of_amounts, "amount-float", ROOM, "a = hold.cost_nano / 2"),
    (money.no_division_of_amounts, "amount-float", ROOM, "a = float(cost_nano)"),
    (imports.impure_part, "impure-part", MONEY, "import urllib.request"),
    (imports.impure_part, "impure-part", "tokenbooth/core/turn.py", "from http.client import A"),
    (imports.impure_part, "impure-part", "tokenbooth/protocols/a.py", "from urllib import request"),
    (imports.import_in_function, "import-in-function", ROOM, "def f():\n    import json"),
    (imports.import_in_function, "import-in-function", ROOM, "def f():\n    from a import b"),
    (imports.import_in_function, "import-in-function", ROOM, "def f():\n    import asyncpg"),
    (
        imports.import_in_function,
        "import-in-function",
        "tokenbooth/engines/upstream/engine.py",
        "def f():\n    import json",
    ),
    (imports.private_noun_file, "private-noun", ROOM, f"from {LEDGER} import rules"),
    (imports.private_noun_file, "private-noun", ROOM, f"from {LEDGER}.values import Hold"),
    (imports.private_noun_file, "private-noun", ROOM, f"import {LEDGER}.sql"),
    (imports.private_noun_file, "private-noun", MONEY, "from tokenbooth.money.prices.sql import a"),
    (imports.private_noun_file, "private-noun", MONEY, "import tokenbooth.access.keys.values.Key"),
    (
        imports.private_noun_file,
        "private-noun",
        "tokenbooth/money/meter/sql.py",
        f"from {LEDGER}.sql import holds",
    ),
    (
        imports.private_noun_file,
        "private-noun",
        "tokenbooth/money/ledger/service.py",
        "from tokenbooth.access.rules import checked_name",
    ),
    (
        imports.service_names_its_surface,
        "service-surface",
        "tokenbooth/money/ledger/service.py",
        "def hold(): ...",
    ),
    (imports.environment_read, "environment", ROOM, "import os\na = os.environ['A']"),
    (imports.environment_read, "environment", ROOM, "import os\na = os.getenv('A')"),
    (imports.environment_read, "environment", ROOM, "from os import environ"),
    (hazards.broad_except, "broad-except", ROOM, "try: a\nexcept: b"),
    (hazards.broad_except, "broad-except", ROOM, "try: a\nexcept Exception: b"),
    (hazards.broad_except, "broad-except", ROOM, "try: a\nexcept (OSError, BaseException): b"),
    (hazards.broad_except, "broad-except", ROOM, "try: a\nexcept Exception as e: raise B from e"),
    (hazards.broad_except, "broad-except", ROOM, "with contextlib.suppress(Exception): a"),
    (hazards.global_state, "global-state", ROOM, "a = 1\ndef f():\n    global a\n    a = 2"),
    (hazards.global_state, "global-state", ROOM, "a = {}\ndef f():\n    a['x'] = 2"),
    (hazards.global_state, "global-state", ROOM, "a = {}\ndef f():\n    del a['x']"),
    (hazards.global_state, "global-state", ROOM, "a: list[int] = []\ndef f():\n    a.append(2)"),
    (hazards.global_state, "global-state", ROOM, "a = collections.deque()\ndef f(): a.pop()"),
    (hazards.hidden_cache, "hidden-cache", ROOM, "@functools.cache\ndef f(): ..."),
    (hazards.hidden_cache, "hidden-cache", ROOM, "@lru_cache(maxsize=None)\ndef f(): ..."),
    (hazards.unbounded_queue, "unbounded-queue", ROOM, "a = asyncio.Queue()"),
    (hazards.unbounded_queue, "unbounded-queue", ROOM, "a = queue.SimpleQueue()"),
    (hazards.built_sql, "built-sql", ROOM, "text(f'select {a}')"),
    (hazards.built_sql, "built-sql", ROOM, "text(f'select {TABLE} {a}')"),
    (hazards.built_sql, "built-sql", ROOM, "text(f'select {a.B}')"),
    (hazards.built_sql, "built-sql", ROOM, "sa.text('select %s' % a)"),
    (hazards.built_sql, "built-sql", ROOM, "tx.execute('select ' + a)"),
    (hazards.built_sql, "built-sql", ROOM, "text('select {}'.format(a))"),
    (hazards.built_sql, "built-sql", ROOM, "make().execute('a' + b + 'c')"),
    (hazards.printed, "print", ROOM, "print('a')"),
    (reach.program_start, "program-start", ROOM, "import subprocess"),
    (reach.program_start, "program-start", ROOM, "from subprocess import run"),
    (reach.program_start, "program-start", ROOM, "await asyncio.create_subprocess_exec(a)"),
    (
        reach.program_start,
        "program-start",
        ROOM,
        "await asyncio.subprocess.create_subprocess_exec(a)",
    ),
    (reach.program_start, "program-start", ROOM, "os.execv(a, b)"),
    (reach.program_start, "program-start", "tokenbooth/control/models.py", "os.system(a)"),
    (reach.connection, "connection", ROOM, "import urllib.request"),
    (reach.connection, "connection", ROOM, "from http.client import HTTPConnection"),
    (reach.connection, "connection", ROOM, "asyncio.get_running_loop().create_connection(a)"),
    (reach.connection, "connection", "tokenbooth/web/a.py", "socket.create_connection(a)"),
    (words.unfinished_code, "unfinished", ROOM, "def f(): raise NotImplementedError"),
    (words.unfinished_code, "unfinished", ROOM, "def f(): raise NotImplementedError('a')"),
    (
        words.unfinished_code,
        "unfinished",
        "tests/unit/test_a.py",
        "@pytest.mark.skip\ndef f(): ...",
    ),
    (
        words.unfinished_code,
        "unfinished",
        "tests/unit/test_a.py",
        "@pytest.mark.xfail(strict=True)\ndef f(): ...",
    ),
    (words.unfinished_code, "unfinished", "tests/unit/test_a.py", "pytest.importorskip('a')"),
    (testing.constant_assertion, "constant-assertion", "tests/unit/test_a.py", "assert True"),
    (testing.sleep_in_unit_test, "sleep", "tests/unit/test_a.py", "time.sleep(0.1)"),
    (testing.sleep_in_unit_test, "sleep", "tests/unit/test_a.py", "await asyncio.sleep(1)"),
]

ALLOWED: list[tuple[Rule, str, str]] = [
    (sizes.file_length, ROOM, "a = 1\n" * 400),
    (sizes.file_length, "tests/unit/test_a.py", "a = 1\n" * 500),
    (sizes.function_length, ROOM, long_function(60)),
    (sizes.class_length, ROOM, long_function(200, of="class A:")),
    (sizes.parameter_count, ROOM, "class A:\n    def f(self, a, b, c, d, e, f): ..."),
    (
        sizes.parameter_count,
        ROOM,
        "class A:\n    @classmethod\n    def f(cls, a, *, b, c, d, e, f): ...",
    ),
    (sizes.parameter_count, "tests/unit/test_a.py", "def test_a(a, b, c, d, e, f, g): ..."),
    (names.banned_names, ROOM, "import logging\nlogging.info(x.data)"),
    (names.banned_names, ROOM, "metadata = handler = 1"),
    (names.banned_names, ROOM, "data_dir = 1\nDATA_DIR_VARIABLE = 2"),
    (names.banned_names, "tokenbooth/web/pages.py", "def handle(): ..."),
    (names.banned_names, "tests/unit/test_a.py", "data = 1"),
    (names.banned_names, ROOM, "class A:\n    def process_bind_param(self): ..."),
    (names.mistaken_names, ROOM, "output_tokens = request_id = 1"),
    (names.mistaken_names, "tokenbooth/protocols/openai_chat/read.py", "user = max_tokens = 1"),
    (names.mistaken_names, "tokenbooth/edge/asgi.py", "request = 1"),
    (names.mistaken_names, "tests/unit/test_a.py", "token = 1"),
    (names.mistaken_names, ROOM, "max = 1"),
    (names.unit_last, ROOM, "def f(timeout_ms: int, deadline: Deadline): ..."),
    (money.no_float_in_money, MONEY, "a = 1 // 2\nb, c = divmod(a, 3)"),
    (money.no_float_in_money, ROOM, "a = 0.5 / 2"),
    (money.no_division_of_amounts, ROOM, "a = span_us / 10**6\nb = cost_nano // 2"),
    (
        imports.import_in_function,
        "tokenbooth/engines/embedded/child.py",
        "def f():\n    import openvino_genai",
    ),
    (imports.import_in_function, "tokenbooth/cli/key.py", "def f():\n    import json"),
    (imports.import_in_function, ROOM, "import json"),
    (imports.impure_part, MONEY, "from urllib.parse import quote\nfrom http import HTTPStatus"),
    (imports.impure_part, ROOM, "import urllib.request"),
    (imports.private_noun_file, ROOM, f"from {LEDGER} import service as ledger"),
    (imports.private_noun_file, ROOM, f"from {LEDGER}.service import Hold"),
    (
        imports.private_noun_file,
        "tokenbooth/money/ledger/service.py",
        f"from {LEDGER}.sql import a",
    ),
    (
        imports.private_noun_file,
        "tokenbooth/access/keys/rules.py",
        "from tokenbooth.access.rules import a",
    ),
    (imports.private_noun_file, ROOM, "from tokenbooth.gateway.rules import charge_of"),
    (imports.private_noun_file, MONEY, "from tokenbooth.money.prices.values import Price"),
    (
        imports.service_names_its_surface,
        "tokenbooth/money/ledger/service.py",
        "__all__ = ['hold']\ndef hold(): ...",
    ),
    (imports.environment_read, "tokenbooth/config.py", "import os\na = os.environ"),
    (imports.environment_read, ROOM, "import os\na = os.getpid()"),
    (hazards.broad_except, ROOM, "try: a\nexcept BaseException:\n    b\n    raise"),
    (hazards.broad_except, ROOM, "try: a\nexcept (OSError, ValueError): b"),
    (hazards.broad_except, ROOM, "with contextlib.suppress(OSError): a"),
    (hazards.global_state, ROOM, "a = {}\ndef f():\n    return a['x']"),
    (hazards.global_state, ROOM, "a = {}\ndef f(a):\n    a['x'] = 1"),
    (hazards.global_state, ROOM, "a = {}\ndef f():\n    a = {}\n    a['x'] = 1"),
    (hazards.global_state, ROOM, "a = ()\ndef f(b):\n    b.append(a)"),
    (hazards.hidden_cache, ROOM, "@cached_property\ndef f(): ..."),
    (hazards.unbounded_queue, ROOM, "a = asyncio.Queue(8)\nb = queue.Queue(maxsize=8)"),
    (hazards.built_sql, ROOM, "text('select ' 'a')"),
    (hazards.built_sql, ROOM, "text(f'select a from {TABLE}')"),
    (hazards.built_sql, ROOM, "tx.execute(select(a).where(b == c))\ntx.execute(1 + a)"),
    (hazards.printed, "tokenbooth/cli/app.py", "print('a')"),
    (reach.program_start, "tokenbooth/engines/child/link.py", "import subprocess"),
    (reach.program_start, "tokenbooth/cli/up.py", "os.execv(a, b)"),
    (reach.program_start, ROOM, "os.getpid()\nverb.execute(a)"),
    (reach.connection, "tokenbooth/engines/upstream/pool.py", "loop.create_connection(a)"),
    (reach.connection, ROOM, "from urllib.parse import quote\nengine.connect()"),
    (words.unfinished_code, "tests/unit/test_a.py", "@pytest.mark.slow\ndef f(): ..."),
    (testing.constant_assertion, "tests/unit/test_a.py", "assert a"),
    (testing.sleep_in_unit_test, "tests/unit/test_a.py", "await asyncio.sleep(0)"),
    (testing.sleep_in_unit_test, "tests/outside/test_a.py", "time.sleep(1)"),
]


@pytest.mark.parametrize(("rule", "name", "path", "text"), PLANTED)
def test_a_planted_violation_is_found(rule: Rule, name: str, path: str, text: str) -> None:
    found = list(rule(Source(path, text)))
    assert name in {finding.rule for finding in found}
    assert {finding.path for finding in found} == {path}


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED)
def test_the_nearest_right_text_is_left_alone(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, *_ in PLANTED} == set(FILE_RULES)
    assert {rule for rule, *_ in ALLOWED} == set(FILE_RULES)


def test_a_finding_says_file_line_rule_and_cure() -> None:
    (found,) = hazards.printed(Source(ROOM, "def f():\n    print('a')"))
    assert str(found) == (
        "tokenbooth/gateway/serve.py:2: [print] f prints;"
        " the log and the command line speak to people"
    )
    assert found.subject == "f"


def test_an_import_in_a_nested_function_is_found_once() -> None:
    text = "class A:\n    def f(self):\n        def g():\n            import json"
    (found,) = imports.import_in_function(Source(ROOM, text))
    assert found.subject == "A.f.g"

"""``certify`` from its options to its two files, and every way in which it refuses."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.measured import Measurement, Wrong, never
from tests.support.wire_server import answers, body_answer, threaded
from tests.unit.cli.conftest import Command
from tokenbooth.booth import SystemClock
from tokenbooth.cli import certify_run
from tokenbooth.cli.app import run
from tokenbooth.control.certificates import DAY_US, signed
from tokenbooth.proving.certify import measure as course
from tokenbooth.proving.certify.measure import Ask, Measured, NotMeasured
from tokenbooth.signing.keys import SigningKey
from tokenbooth.verify.certificates.service import figures

STRANGER = SigningKey(bytes(32))
HERE = ("--url", "http://127.0.0.1:9/v1")
Document = Any


def above_four(batch: int, number: int) -> bool:
    return batch > 4 and number % 2 == 0


@cache
def measured(*, knee: int = 20_000, wrong: Wrong = never, late_us: int = 10) -> Measured:
    evidence = Measurement(knee=knee, wrong=wrong, late_us=late_us).evidence
    return Measured(*evidence, figures(*evidence), "engine-1", 42)


class Measures:
    """Stands for the endpoint: keeps what was asked, and gives what was measured."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []
        self.result: Measured | Exception = measured()

    async def __call__(self, ask: Ask, told: Callable[[str, int, int], None]) -> Measured:
        self.asked.append(ask)
        told("alone", 1, 2)
        await asyncio.sleep(0)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture
def measures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Measures:
    made = Measures()
    monkeypatch.setattr(course, "measure", made)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def certified(command: Command, measures: Measures, tmp_path: Path) -> Path:
    """A certificate of the model demo, signed by the test's own booth."""
    assert command("model", "add", "demo", "--scripted").code == 0
    assert command("certify", "demo", *HERE, "--out", str(tmp_path / "made")).code == 0
    return tmp_path / "made" / "certificate.json"


def test_a_model_alone_is_the_command_to_measure_it(command: Command, measures: Measures) -> None:
    assert command("certify", "demo", *HERE).code == 0
    assert command("certify", "run", "demo", *HERE).code == 0
    assert command("certify", "--ttft-ms", "900", "demo", *HERE).code == 0
    assert [ask.endpoint.model for ask in measures.asked] == ["demo"] * 3
    assert [ask.promise.ttft_us for ask in measures.asked] == [2_000_000, 2_000_000, 900_000]


def test_every_option_reaches_the_measurement(command: Command, measures: Measures) -> None:
    said = command(
        *("certify", "demo", "--url", "http://other:8000/v1/", "--key", "k-1"),
        *("--ttft-ms", "700", "--tpot-ms", "30", "--attainment", "0.9", "--minutes", "3"),
        *("--batch-max", "32", "--seed", "77"),
    )
    assert said.code == 0
    (ask,) = measures.asked
    assert (ask.endpoint.base_url, ask.endpoint.key_secret) == ("http://other:8000/v1", "k-1")
    assert (ask.promise.ttft_us, ask.promise.tpot_us) == (700_000, 30_000)
    assert ask.promise.attainment_ppm == 900_000
    assert (ask.time_s, ask.batch_max, ask.seed) == (180, 32, 77)


def test_quick_takes_less_than_a_minute_and_seeds_are_secret(
    command: Command, measures: Measures
) -> None:
    for _ in range(2):
        assert command("certify", "demo", *HERE, "--quick").code == 0
    one, two = measures.asked
    assert one.time_s <= 60
    assert one.seed != two.seed


def test_a_key_may_come_from_a_variable(
    command: Command, measures: Measures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", "k-2")
    assert command("certify", "demo", *HERE, "--key-env", "OTHER_KEY").code == 0
    assert measures.asked[0].endpoint.key_secret == "k-2"


def test_a_variable_that_is_not_set_is_refused_before_anything_is_measured(
    command: Command, measures: Measures
) -> None:
    said = command("certify", "demo", *HERE, "--key-env", "NOT_SET_HERE")
    assert said.code == 1
    assert "NOT_SET_HERE is not set" in said.err
    assert measures.asked == []


def test_without_an_address_it_is_this_booth_and_one_must_serve(
    command: Command, measures: Measures
) -> None:
    said = command("certify", "demo")
    assert said.code == 1
    assert "No booth serves" in said.err
    assert measures.asked == []


def test_two_files_are_written_and_the_booths_own_key_verifies_them(
    command: Command, certified: Path
) -> None:
    keys = certified.parent / "keys.json"
    keys.write_text(command("receipt", "keys", "--json").out)
    assert run(["certify", "verify", str(certified), "--key", str(keys)]) == 0
    report = (certified.parent / "report.html").read_text()
    assert "Capacity certificate: demo" in report
    assert "engine-1" in report


def test_names_with_slashes_and_notes_are_kept(command: Command, measures: Measures) -> None:
    said = command("certify", "org/demo", *HERE, "--note", "two boards", "--json")
    document = said.document
    assert document["certificate"] == "certificate-org-demo/certificate.json"
    assert (document["certified"], document["took_s"]) == (True, 42)
    assert document["concurrency"] == document["latency_concurrency"] > 0
    assert {each["outcome"] for each in document["levels"]} == {"passed"}
    page = Path("certificate-org-demo/report.html").read_text()
    assert "two boards" in page
    assert "org/demo" in page


def test_the_words_tell_verdict_levels_and_place(command: Command, measures: Measures) -> None:
    out = command("certify", "demo", *HERE).out
    assert out.startswith("Certified: ")
    assert "calls a second" in out
    assert "lose less than 20.0 points" in out
    assert "written to certificate-demo" in out


def test_a_directory_that_cannot_be_written_is_told(
    command: Command, measures: Measures, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    said = command("certify", "demo", *HERE, "--out", str(tmp_path / "taken"))
    assert said.code == 1
    assert "cannot be written" in said.err


def test_where_nothing_is_certified_the_files_are_there_and_the_exit_says_so(
    command: Command, measures: Measures
) -> None:
    measures.result = measured(knee=0)
    said = command("certify", "demo", *HERE)
    assert said.code == 1
    assert "Nothing is certified." in said.out
    assert Path("certificate-demo/report.html").exists()
    assert run(["certify", "verify", "certificate-demo/certificate.json"]) == 0


def test_answers_that_break_are_told_level_by_level(command: Command, measures: Measures) -> None:
    measures.result = measured(wrong=above_four)
    out = command("certify", "demo", *HERE).out
    assert "latency alone would allow" in out
    assert "(quality)" in out
    assert "batch 8: failed, loss" in out


def test_a_late_generator_and_a_limited_key_are_told_with_their_cure(
    command: Command, measures: Measures
) -> None:
    late = measured(late_us=400_000)
    statuses = {**late.figures.statuses, "status 429": 1_234}
    measures.result = late
    out = command("certify", "demo", *HERE).out
    assert "the generator itself was 400 ms late: measure from a faster machine" in out
    limited = replace(late, figures=replace(late.figures, statuses=statuses))
    told = "\n".join(certify_run.told_result(limited, Path("x")))
    assert "1,234 calls met a limit of the key (429)" in told


@pytest.mark.parametrize("fault", [NotMeasured("it hung up"), ValueError("it hung up")])
def test_what_could_not_be_measured_writes_nothing(
    command: Command, measures: Measures, fault: Exception
) -> None:
    measures.result = fault
    said = command("certify", "demo", *HERE)
    assert said.code == 1
    assert "Nothing was measured: it hung up." in said.err
    assert not Path("certificate-demo").exists()


def test_an_endpoint_that_refuses_the_key_is_told_by_its_status(command: Command) -> None:
    with threaded(answers(body_answer(b"{}", 401))) as address:
        url = f"http://{address.host}:{address.port}/v1"
        said = command("certify", "demo", "--url", url, "--quick")
    assert said.code == 1
    assert "'status 401'; check its address, model and key" in said.err


@pytest.mark.parametrize("url", ["ftp://x/v1", "nowhere", "http://"])
def test_an_address_that_is_none_is_told(command: Command, url: str) -> None:
    said = command("certify", "demo", "--url", url)
    assert said.code == 1
    assert "is no address of a server" in said.err


@pytest.mark.parametrize(
    "option",
    [
        ("--attainment", "1.5"),
        ("--attainment", "nan"),
        ("--ttft-ms", "0"),
        ("--minutes", "0"),
        ("--batch-max", "2000"),
        ("--days", "400"),
        ("--ttft-ms", "soon"),
    ],
)
def test_options_out_of_bounds_are_wrong_usage(
    command: Command, measures: Measures, option: tuple[str, str]
) -> None:
    assert command("certify", "demo", *HERE, *option).code == 2
    assert measures.asked == []


def test_a_certificate_is_applied_with_the_booths_own_key(
    command: Command, certified: Path
) -> None:
    said = command("certify", "apply", str(certified), "--json")
    assert said.code == 0, said.err
    document = said.document
    assert (document["model"], document["state"]) == ("demo", "valid")
    assert document["concurrency"] == measured().figures.concurrency
    assert document["pace"] == f"demo 1000 50 1 {document['concurrency']}"
    assert document["fingerprint"] == "engine-1"


def test_applying_tells_what_admission_is_to_be_given(command: Command, certified: Path) -> None:
    said = command("certify", "apply", str(certified))
    concurrency = measured().figures.concurrency
    assert f"Model demo is certified for {concurrency} calls at once." in said.out
    assert f"Admission's bounds for it: demo 1000 50 1 {concurrency}" in said.out


def changed(path: Path, change: Callable[[Document], None]) -> str:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return str(path)


def faster(document: Document) -> None:
    document["samples"][3][4] -= 1


def test_a_changed_certificate_is_not_applied(command: Command, certified: Path) -> None:
    said = command("certify", "apply", changed(certified, faster))
    assert said.code == 1
    assert "The certificate does not verify: samples:" in said.err


def of_stranger(path: Path, *, model: str = "demo", age_us: int = 0, knee: int = 20_000) -> str:
    times = (SystemClock().now_us() - age_us, DAY_US)
    subject = {"model": model, "fingerprint": "engine-1"}
    path.write_text(json.dumps(signed(measured(knee=knee).evidence, subject, times, STRANGER)))
    return str(path)


def test_a_strangers_certificate_counts_only_where_the_key_is_named(
    command: Command, certified: Path
) -> None:
    file = of_stranger(certified)
    refused = command("certify", "apply", file)
    assert refused.code == 1
    assert "key: unknown_key" in refused.err
    assert command("certify", "apply", file, "--key", STRANGER.public.hex()).code == 0


def test_an_expired_certificate_is_not_applied(command: Command, certified: Path) -> None:
    file = of_stranger(certified, age_us=2 * DAY_US)
    said = command("certify", "apply", file, "--key", STRANGER.public.hex())
    assert said.code == 1
    assert "time: expired" in said.err


def test_a_certificate_that_certifies_nothing_is_not_applied(
    command: Command, certified: Path
) -> None:
    file = of_stranger(certified, knee=0)
    said = command("certify", "apply", file, "--key", STRANGER.public.hex())
    assert said.code == 1
    assert "The certificate certifies nothing" in said.err


def test_a_model_that_is_not_here_is_named_or_given(command: Command, certified: Path) -> None:
    file = of_stranger(certified, model="elsewhere")
    key = ("--key", STRANGER.public.hex())
    said = command("certify", "apply", file, *key)
    assert said.code == 1
    assert "No model of that name is offered here" in said.err
    assert command("certify", "apply", file, *key, "--model", "demo").code == 0


JUNK = {
    "nothing": b"",
    "no JSON": b"{",
    "not UTF-8": b'{"a": "\xff"}',
    "deep": b"[" * 200_000,
    "a list": b"[]",
    "a number": b"7",
    "another object": b'{"format": "tokenbooth.certificate/1"}',
    "endless numbers": b'{"format": 1e999, "samples": [1' + b"0" * 5_000 + b"]}",
}


@pytest.mark.parametrize("kind", JUNK)
@pytest.mark.parametrize("verb", ["verify", "import"])
def test_files_that_are_no_certificate_are_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, verb: str
) -> None:
    file = tmp_path / "junk.json"
    file.write_bytes(JUNK[kind])
    assert run(["certify", verb, str(file)]) == 1
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    assert "error:" in said.err or "NOT VERIFIED" in said.out


@pytest.mark.parametrize("key", ["abc", "zz" * 32, "./nowhere.txt", ""])
def test_a_key_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    file = of_stranger(tmp_path / "certificate.json")
    assert run(["certify", "verify", file, "--key", key]) == 1
    assert "error:" in capsys.readouterr().err


def test_every_step_of_a_verification_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "certificate.json"
    of_stranger(file)
    assert run(["certify", "verify", str(file), "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    names = [step["name"] for step in steps]
    assert names == ["form", "signature", "key", "time", "samples", "figures"]
    assert run(["certify", "verify", changed(file, faster), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert "samples" in {step["name"] for step in told["steps"] if not step["ok"]}


def test_a_report_of_guidellm_is_told_with_its_units(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = {"time_to_first_token_ms": {"successful": {"mean": 12.5, "percentiles": {"p99": 40}}}}
    document = {"metadata": {"guidellm_version": "0.5"}, "benchmarks": [{"metrics": metrics}]}
    file = tmp_path / "report.json"
    file.write_text(json.dumps(document))
    assert run(["certify", "import", str(file)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["FIGURE", "VALUE", "UNIT"]
    assert "run 1 time_to_first_token_ms mean" in out
    assert "12.500" in out
    assert "40.000" in out


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "neither of GuideLLM nor of AIPerf"),
        ([], "a report is a JSON object"),
        ({"aiperf_version": "1"}, "no figure that is known here"),
        ({"aiperf_version": "1", "goodput": {"avg": True}}, "no figure that is known here"),
        ({"metadata": {"guidellm_version": "1"}, "benchmarks": 7}, "no figure that is known here"),
    ],
)
def test_a_report_of_another_form_is_refused_with_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: object, said: str
) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps(document))
    assert run(["certify", "import", str(file)]) == 1
    assert said in capsys.readouterr().err


def test_the_method_is_held_against_faults_and_servers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["certify", "prove", "faults", "--count", "1", "--seed", "3", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["object"], document["trials"]) == ("fault_proof", 1)
    assert document["stopped"]["wrong at batch 64"] == 1


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_no_trials_at_all_are_wrong_usage(count: str) -> None:
    assert run(["certify", "prove", "faults", "--count", count]) == 2


def test_only_knees_and_faults_can_be_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["certify", "prove", "everything"]) == 1
    assert "Prove knees or faults." in capsys.readouterr().err

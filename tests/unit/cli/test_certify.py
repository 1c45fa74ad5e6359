"""What ``certify`` says of files: verified, changed, imported, or none at all."""

import json
from pathlib import Path

import pytest

from tests.support.measured import Measurement
from tokenbooth.booth import SystemClock
from tokenbooth.cli.app import run
from tokenbooth.control.certificates import DAY_US, signed
from tokenbooth.signing.keys import SigningKey

KEY = SigningKey(bytes(32))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    times = (SystemClock().now_us(), DAY_US)
    document = signed(Measurement().evidence, {"model": "alpha"}, times, KEY)
    path = tmp_path_factory.mktemp("certify") / "certificate.json"
    path.write_text(json.dumps(document))
    return path


def test_a_certificate_is_verified_and_a_changed_one_is_not(
    certificate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["certify", "verify", str(certificate), "--key", KEY.public.hex()]) == 0
    assert "certificate verified" in capsys.readouterr().out
    assert run(["certify", "verify", str(certificate), "--key", "00" * 32]) == 1
    assert "FAILED  key" in capsys.readouterr().out
    changed = json.loads(certificate.read_text())
    changed["samples"][3][4] += 1
    other = tmp_path / "other.json"
    other.write_text(json.dumps(changed))
    assert run(["certify", "verify", str(other), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_a_report_of_another_tool_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"aiperf_version": "1", "goodput": {"unit": "1/s", "avg": 2}}))
    assert run(["certify", "import", str(report), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["figures"][0]["value"] == "2.000"
    report.write_text("{}")
    assert run(["certify", "import", str(report)]) == 1


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    assert run(["certify", "verify", str(tmp_path / "none.json")]) == 1
    (tmp_path / "bad.json").write_text("{")
    assert run(["certify", "verify", str(tmp_path / "bad.json")]) == 1
    assert run(["certify", "prove", "nothing"]) == 1

"""The method against planted faults and a simulated server, in small."""

from tokenbooth.proving.certify.faults import FAULTS, prove_faults
from tokenbooth.proving.certify.knees import prove_knees


def test_planted_faults_are_found_and_none_is_made_up() -> None:
    report = prove_faults(4, seed=0)
    assert report.stopped["none"] == 0
    assert all(report.stopped[name] == 4 for name in FAULTS if name != "none")
    assert len(list(report.lines())) == len(FAULTS)
    assert report.document()["trials"] == 4


def test_the_knee_of_a_simulated_server_is_found() -> None:
    report = prove_knees(1, seed=0, workers=1)
    (found,) = report.found
    assert abs(found.error_ppm) < 200_000
    assert found.true_ppm > 930_000
    assert found.calls <= 5_000
    assert any("within" in line for line in report.lines())

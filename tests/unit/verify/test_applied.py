"""A certificate in force counts until it expires or something else is served."""

from dataclasses import replace

import pytest

from tokenbooth.verify.applied.service import Applied, CapacityState, state_of

APPLIED = Applied(
    model="alpha",
    sequence=1,
    digest="d",
    fingerprint="engine-1",
    concurrency=8,
    calls_per_ks=1000,
    ttft_us=1,
    tpot_us=1,
    attainment_ppm=950_000,
    issued_us=100,
    expires_us=200,
    document="{}",
    effective_us=100,
    author="operator",
)


@pytest.mark.parametrize(
    ("served", "now_us", "state"),
    [
        ((), 150, CapacityState.VALID),
        (("engine-1",), 199, CapacityState.VALID),
        (("engine-1", "engine-2"), 150, CapacityState.STALE),
        (("engine-2",), 150, CapacityState.STALE),
        (("engine-1",), 200, CapacityState.EXPIRED),
        (("engine-2",), 200, CapacityState.EXPIRED),
    ],
)
def test_the_state_follows_from_what_is_served_and_when(
    served: tuple[str, ...], now_us: int, state: CapacityState
) -> None:
    assert state_of(APPLIED, served, now_us) is state


def test_a_certificate_without_a_fingerprint_is_stale_as_soon_as_one_is_known() -> None:
    assert state_of(replace(APPLIED, fingerprint=""), ("engine-1",), 150) is CapacityState.STALE

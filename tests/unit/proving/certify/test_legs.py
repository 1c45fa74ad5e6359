"""A leg counts the calls that it should, in the order of sending, and cuts the rest."""

import asyncio
from itertools import pairwise

import pytest

from tokenbooth.proving.certify.caller import Caller, Endpoint, Heard, now_us
from tokenbooth.proving.certify.legs import Generator, Load, poisson_us
from tokenbooth.verify.certificates.service import Sample
from tokenbooth.verify.dice.service import Dice
from tokenbooth.verify.packs.service import Pack, Probe


class Ready(Caller):
    """Answers at once; remembers how many were under way."""

    def __init__(self) -> None:
        super().__init__(Endpoint("http://127.0.0.1:1/v1", "toy"))
        self.inside = self.most = 0

    async def ask(self, probe: Probe, within_s: float) -> Heard:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(0)
        self.inside -= 1
        return Heard(now_us(), now_us(), 3, "ok", "stop", probe.expected, "fp")


def played(load: Load, wanted: int) -> tuple[list[Sample], Ready, Generator]:
    async def work() -> tuple[list[Sample], Ready, Generator]:
        caller = Ready()
        generator = Generator(caller, Pack(1), 5.0)
        samples = await generator.play(load, lambda seen: len(seen) >= wanted, lambda _count: None)
        return samples, caller, generator

    return asyncio.run(work())


@pytest.mark.parametrize(
    "load",
    [
        Load(0, range(5), warm=4, calls=20, batch=4),
        Load(0, range(5), warm=4, calls=20, calls_per_ks=50_000_000),
    ],
)
def test_the_first_do_not_count_and_the_next_do(load: Load) -> None:
    samples, caller, generator = played(load, 20)
    assert len(samples) >= 24
    assert all(sample.status == "ok" for sample in samples[:24])
    assert {sample.status for sample in samples[24:]} <= {"ok", "cut"}
    assert [sample.probe for sample in samples[:10]] == [0, 1, 2, 3, 4] * 2
    assert all(one.due_us <= two.due_us <= two.sent_us for one, two in pairwise(samples))
    assert generator.fingerprints["fp"] >= 24
    if load.batch:
        assert caller.most == load.batch
        assert max(sample.inside for sample in samples) == load.batch


def test_random_moments_are_just_so_many_in_their_time() -> None:
    moments = poisson_us(1000, 10_000, Dice(1, "x"))
    assert len(moments) == 1000
    assert moments == sorted(moments)
    assert 95_000_000 < moments[-1] < 100_000_000
    assert moments == poisson_us(1000, 10_000, Dice(1, "x"))


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no address"):
        Caller(Endpoint("ftp://x", "toy"))

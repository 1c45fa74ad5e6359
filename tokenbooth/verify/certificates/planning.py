"""How a measurement is cut to the time that there is for it."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from tokenbooth.verify.certificates.values import CertificatePlan
from tokenbooth.verify.ladder.service import LadderPlan
from tokenbooth.verify.packs.service import Family, Pack
from tokenbooth.verify.search.service import PPM, Promise, SearchPlan, warm_calls

PROBES_MIN, PROBES_FEW, PROBES_MAX = 24, 100, 1_000
ALONE_BATCH_MAX = 8
LEVELS_USUAL, RUNS_USUAL = 8, 30
ALONE_PERCENT, SEARCH_PERCENT = 22, 30
NEEDLE_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Scouted:
    """What a first look at an endpoint showed: one call alone, and the best rate that was seen."""

    alone_us: int
    calls_per_ks: int
    output_tokens: int


def probes_for(time_s: int, alone_us: int) -> tuple[int, int]:
    """How many probes can be asked twice in the part of the time that is for it, and how many at
    once: one, but a few where that would leave too few to tell anything."""
    budget_us = time_s * 1_000_000 * ALONE_PERCENT // 100
    affordable = budget_us // (2 * max(1, alone_us))
    batch = 1 if affordable >= PROBES_FEW else ALONE_BATCH_MAX
    return max(PROBES_MIN, min(PROBES_MAX, affordable * batch)), batch


def plan_for(
    promise: Promise, pack: Pack, scouted: Scouted, probes: int, time_s: int
) -> CertificatePlan:
    """As many calls as the time allows at the rate that was seen, at most the usual ones."""
    calls = time_s * scouted.calls_per_ks * SEARCH_PERCENT // 100 // 1000
    usual = SearchPlan()
    counted = max(120, min(usual.calls_max, calls))
    confirm = max(60, min(usual.confirm_calls, counted * 30 // 100))
    probe_calls = max(20, min(usual.probe_calls, counted * 8 // 100))
    warm = warm_calls(promise, scouted.output_tokens, scouted.calls_per_ks)
    search = SearchPlan(
        # Where runs are short, what fills the endpoint is most of them.
        calls_max=min(usual.calls_max, counted + RUNS_USUAL * warm),
        confirm_calls=confirm,
        probe_calls=probe_calls,
        probe_calls_min=min(usual.probe_calls_min, probe_calls * 3 // 4),
    )
    return CertificatePlan(
        promise=promise,
        search=search,
        ladder=ladder_for(probes),
        pack=pack,
        first_per_ks=max(1, scouted.calls_per_ks // 2),
        output_tokens=scouted.output_tokens,
        probes=probes,
    )


def ladder_for(probes: int) -> LadderPlan:
    """The smallest loss that so many probes can rule out at every level, and no less than usual."""
    usual = LadderPlan()
    strict = NormalDist().inv_cdf(1 - usual.alpha_ppm / PPM / 2 / LEVELS_USUAL)
    margin_ppm = math.ceil(PPM * strict**2 / (0.8 * probes + strict**2))
    return LadderPlan(
        margin_ppm=max(usual.margin_ppm, margin_ppm), probes_min=min(usual.probes_min, probes)
    )


def pack_for(seed: int, *, short: bool) -> Pack:
    """``short`` leaves out what takes long to read: for small engines on slow machines."""
    if not short:
        return Pack(seed)
    families = tuple(family for family in Family if family is not Family.NEEDLE)
    return Pack(seed, families, needle_lines=NEEDLE_LINES, count_to=12)

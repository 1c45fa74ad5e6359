"""A launch season of a fictional lab: real verbs, real gates, a real gateway, a simulated clock."""

from tokenbooth.proving.launching import spring, summer
from tokenbooth.proving.launching.lab import open_lab
from tokenbooth.proving.launching.show import SEED, Season, Show, us_at

SCENES = (
    spring.announced,
    spring.not_ready,
    spring.short_of_capacity,
    summer.partners,
    summer.attack,
    summer.invitation,
    summer.public,
    summer.bad_release,
    summer.alarm,
)


def play_season() -> Season:
    """From the announcement to a bad release that is stopped."""
    with open_lab(SEED, us_at(2025, 1, 6)) as lab:
        spring.play_past(lab)
        show = Show(lab, Season())
        for scene in SCENES:
            scene(show)
        return show.season

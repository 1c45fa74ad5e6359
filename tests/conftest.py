"""What holds for every test.

Property tests have no time limit per example: a busy machine is no fault of the product.

Thousands of collected tests are objects that never become garbage. Looking through them again and
again took a quarter of the time of the unit tests, so they are taken out of the collector's sight.
"""

import gc

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

gc.set_threshold(100_000, 20, 50)


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.collect()
    gc.freeze()

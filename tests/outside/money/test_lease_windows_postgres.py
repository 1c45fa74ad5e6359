from tests.support.again import again
from tests.unit.money import test_lease_windows

globals().update(again(test_lease_windows))

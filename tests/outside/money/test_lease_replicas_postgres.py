from tests.support.again import again
from tests.unit.money import test_lease_replicas

globals().update(again(test_lease_replicas))

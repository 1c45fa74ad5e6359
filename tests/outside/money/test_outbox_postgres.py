from tests.support.again import again
from tests.unit.money import test_outbox

globals().update(again(test_outbox))

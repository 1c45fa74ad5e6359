from tests.support.again import again
from tests.unit.content.responses import test_background, test_stored

globals().update(again(test_stored))
globals().update(again(test_background))

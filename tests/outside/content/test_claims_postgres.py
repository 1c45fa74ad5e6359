from tests.support.again import again
from tests.unit.content.replays import test_claims

globals().update(again(test_claims))

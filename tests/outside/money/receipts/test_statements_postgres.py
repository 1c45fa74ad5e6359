from tests.support.again import again
from tests.unit.control import test_statements

# The desk of this folder stands on PostgreSQL.
globals().update({k: v for k, v in again(test_statements).items() if k != "desk"})

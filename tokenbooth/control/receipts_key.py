"""The secret that receipts are signed with: ``secrets/receipts.key``, 32 bytes.

An instance that is older than receipts gets one at its first need. Losing it loses nothing: what it
signed stays verifiable by the public half in the database, and a new one signs from then on.
"""

from pathlib import Path

from tokenbooth.control.instance import SECRET_BYTES, InstancePaths, read_secret
from tokenbooth.control.secret_files import appear_once, put_in_place
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Randomness
from tokenbooth.core.problem import Problem
from tokenbooth.money.receipts.service import Signer


def own_signer(data_dir: Path, randomness: Randomness) -> Signer:
    """The signer of this instance, with a new key where it has none.

    Raises STATE_CONFLICT for a key that was cut, or a directory that cannot be written.
    """
    path = InstancePaths(data_dir).receipts_key
    if not path.exists():
        try:
            appear_once(path, randomness.token_bytes(SECRET_BYTES))
        except OSError as error:
            raise _unwritable(path, error) from error
    return Signer(read_secret(path))


def rotate_key(data_dir: Path, randomness: Randomness) -> Signer:
    """Replace the key; a server that runs goes on with the old one until it is started again.

    Raises STATE_CONFLICT when the directory cannot be written.
    """
    path = InstancePaths(data_dir).receipts_key
    seed = randomness.token_bytes(SECRET_BYTES)
    try:
        put_in_place(path, seed)
    except OSError as error:
        raise _unwritable(path, error) from error
    return Signer(seed)


def _unwritable(path: Path, error: OSError) -> Problem:
    return Problem(Code.STATE_CONFLICT, f"{path} cannot be written: {error.strerror}.")

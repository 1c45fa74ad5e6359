"""Finds the booth that a command calls, and the key that it calls with."""

from pathlib import Path

from tokenbooth.cli import client as calling
from tokenbooth.config import client_settings, data_dir_of
from tokenbooth.control.serving import serving_now
from tokenbooth.control.up_key import read_up_key
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem


def client_for(base_url: str | None, key: str | None, data_dir: Path | None) -> calling.BoothClient:
    """Raises MISSING_KEY without a key, and STATE_CONFLICT without a booth."""
    secret = key_secret_of(key, data_dir)
    return calling.BoothClient(address_of(base_url, data_dir), secret)


def key_secret_of(key: str | None, data_dir: Path | None) -> str:
    """What was given, else what the environment says, else the key of ``up``."""
    secret = key or client_settings().api_key or read_up_key(data_dir_of(data_dir))
    if secret is None:
        raise Problem(Code.MISSING_KEY, "Give a key with --key or TOKENBOOTH_API_KEY.")
    return secret


def address_of(base_url: str | None, data_dir: Path | None) -> str:
    """What was given, else what the environment says, else where the booth of the directory is."""
    address = base_url or client_settings().base_url
    if address is not None:
        return address
    home = data_dir_of(data_dir)
    serving = serving_now(home)
    if serving is None:
        raise Problem(
            Code.STATE_CONFLICT,
            f"No booth serves {home}: start one with `tokenbooth up`, or give --base-url.",
        )
    return serving.base_url

"""The metrics of several processes as those of one."""

from collections.abc import Sequence

# Of these a sum says nothing: when it was, what it found, and whether it is ready everywhere.
_HIGHEST = (
    "tokenbooth_reconciled_at_s",
    "tokenbooth_ledger_difference_nano",
    "tokenbooth_engine_restarts",
)
_LOWEST = ("tokenbooth_engine_ready",)


def summed(texts: Sequence[bytes]) -> bytes:
    """One text exposition of the texts of our own processes: the same series are added up."""
    if len(texts) == 1:
        return texts[0]
    families: dict[str, list[str]] = {}
    series: dict[str, dict[str, float]] = {}
    for text in texts:
        family = ""
        for line in text.decode().splitlines():
            if line.startswith("#"):
                family = line.split(" ", 3)[2]
                families.setdefault(family, [])
                if line not in families[family]:
                    families[family].append(line)
                series.setdefault(family, {})
            elif line:
                name, _, value = line.rpartition(" ")
                _put(series[family], family, name, float(value))
    lines: list[str] = []
    for family, head in families.items():
        lines += head
        lines += [f"{name} {value!r}" for name, value in series[family].items()]
    return "".join(f"{line}\n" for line in lines).encode()


def _put(known: dict[str, float], family: str, name: str, value: float) -> None:
    if name not in known:
        known[name] = value
    elif family in _HIGHEST:
        known[name] = max(known[name], value)
    elif family in _LOWEST:
        known[name] = min(known[name], value)
    else:
        known[name] += value

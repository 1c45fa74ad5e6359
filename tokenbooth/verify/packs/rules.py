"""How probes are made and marked. The same version and seed give the same probes for ever."""

import json
import re

from tokenbooth.verify.dice.service import Dice
from tokenbooth.verify.packs.values import Family, Pack, Probe

NAMES = ("Ada", "Bruno", "Chen", "Dora", "Emil", "Farah", "Goran", "Hana", "Ivo", "Jana")
CITIES = ("Bergen", "Cadiz", "Dublin", "Essen", "Faro", "Genoa", "Hobart", "Izmir", "Jena", "Kyoto")
THINGS = ("apples", "bolts", "candles", "drums", "eggs", "forks", "gloves", "hats", "irons", "jars")
PLACES = ("harbour", "library", "market", "station", "garden", "museum", "school", "bakery")
WORDS = ("river", "stone", "lamp", "cloud", "bread", "chair", "maple", "silver")
LENGTH_TOKENS = 5

_WHOLE = re.compile(r"-?\d+")
_OBJECT = re.compile(r"\{[^{}]*\}")


def probe(pack: Pack, number: int) -> Probe:
    """Probe ``number`` of the pack; families take turns."""
    family = pack.families[number % len(pack.families)]
    dice = Dice(pack.seed, f"{pack.version} {family} {number}")
    match family:
        case Family.ARITHMETIC:
            return _arithmetic(number, dice)
        case Family.EXTRACTION:
            return _extraction(number, dice)
        case Family.CONSTRAINT:
            return _constraint(number, dice)
        case Family.SCHEMA:
            return _schema(number, dice)
        case Family.NEEDLE:
            return _needle(number, dice, pack.needle_lines)
        case Family.COUNT:
            return _count(number, dice, pack.count_to)
        case Family.STOP:
            return _stop(number, dice)
    return _length(number, dice)


def is_right(asked: Probe, answer: str, finish: str) -> bool:
    """Whether the answer is right and whole; ``finish`` is the finish reason on the wire.

    Only LENGTH may, and must, end because its limit was reached.
    """
    if asked.family is Family.LENGTH:
        return finish == "length" and bool(answer.strip())
    if finish != "stop":
        return False
    match asked.family:
        case Family.ARITHMETIC:
            found = _WHOLE.findall(answer.replace(",", ""))
            return bool(found) and found[-1] == asked.expected
        case Family.CONSTRAINT:
            return [word.strip(" .\n") for word in answer.lower().split(",")] == (
                asked.expected.split(",")
            )
        case Family.SCHEMA:
            return bool(_object_in(answer) == json.loads(asked.expected))
        case Family.COUNT:
            return " ".join(_WHOLE.findall(answer)) == asked.expected
        case Family.STOP:
            return asked.stop not in answer and asked.expected in answer
    return re.search(rf"(?<!\w){re.escape(asked.expected)}(?!\w)", answer) is not None


def _object_in(answer: str) -> object:
    found = _OBJECT.search(answer)
    try:
        return None if found is None else json.loads(found.group())
    except ValueError:
        return None


def _arithmetic(number: int, dice: Dice) -> Probe:
    one, two, three = dice.between(2, 9), dice.between(2, 9), dice.between(1, 20)
    text = f"Compute {one} * {two} + {three}. Answer with the number only."
    return Probe(number, Family.ARITHMETIC, text, str(one * two + three), 64)


def _extraction(number: int, dice: Dice) -> Probe:
    name, city = dice.one_of(NAMES), dice.one_of(CITIES)
    code = f"{dice.one_of('BCDFGHJK')}{dice.between(100, 999)}"
    text = (
        f"Order: name {name}; city {city}; code {code}; pieces {dice.between(2, 99)}.\n"
        "What is the code of this order? Answer with the code only."
    )
    return Probe(number, Family.EXTRACTION, text, code, 64)


def _constraint(number: int, dice: Dice) -> Probe:
    word, times = dice.one_of(WORDS), dice.between(2, 5)
    text = f"Write the word {word} exactly {times} times, separated by commas, and nothing else."
    return Probe(number, Family.CONSTRAINT, text, ",".join([word] * times), 64)


def _schema(number: int, dice: Dice) -> Probe:
    thing, pieces = dice.one_of(THINGS), dice.between(2, 99)
    text = (
        f"There are {pieces} {thing}. Answer with one JSON object and nothing else, with the "
        'members "thing" (a text) and "pieces" (a whole number).'
    )
    return Probe(number, Family.SCHEMA, text, json.dumps({"thing": thing, "pieces": pieces}), 96)


def _needle(number: int, dice: Dice, lines: int) -> Probe:
    said = [
        f"{dice.one_of(NAMES)} saw {dice.between(2, 99)} {dice.one_of(THINGS)} at the "
        f"{dice.one_of(PLACES)} of {dice.one_of(CITIES)}."
        for _ in range(lines)
    ]
    secret = str(dice.between(10_000, 99_999))
    said.insert(dice.below(lines + 1), f"The number of the blue door is {secret}.")
    text = " ".join(said) + "\nWhat is the number of the blue door? Answer with the number only."
    return Probe(number, Family.NEEDLE, text, secret, 64)


def _count(number: int, dice: Dice, count_to: int) -> Probe:
    first = dice.between(1, 9)
    last = first + count_to - 1
    text = f"Count from {first} to {last}. Write only the numbers, separated by blanks."
    expected = " ".join(map(str, range(first, last + 1)))
    return Probe(number, Family.COUNT, text, expected, 16 + 4 * count_to)


def _stop(number: int, dice: Dice) -> Probe:
    first = dice.between(1, 3)
    stop = dice.between(first + 4, first + 7)
    text = f"Count from {first} to {first + 9}. Write only the numbers, separated by blanks."
    expected = " ".join(map(str, range(first, first + 3)))
    return Probe(number, Family.STOP, text, expected, 96, stop=f" {stop}")


def _length(number: int, dice: Dice) -> Probe:
    first = dice.between(1, 9)
    text = f"Count from {first} to {first + 29}. Write only the numbers, separated by blanks."
    return Probe(number, Family.LENGTH, text, "", LENGTH_TOKENS)

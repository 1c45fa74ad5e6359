"""What others may use of the dice."""

from tokenbooth.verify.dice.rules import Dice

__all__ = ["Dice"]

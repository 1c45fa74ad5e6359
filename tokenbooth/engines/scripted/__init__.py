"""A deterministic engine without a model: for demos, drills and tests."""

from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import AnswerKind, Fault, ScriptOptions, UsageFault

__all__ = ["AnswerKind", "Fault", "ScriptOptions", "ScriptedEngine", "UsageFault"]

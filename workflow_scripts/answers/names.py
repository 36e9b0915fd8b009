"""Names of the ways in which answers are generated and kept: of their folders, and in tables."""

from __future__ import annotations

from workflow_scripts.config.answers import AnswerSettings, KeptAnswers
from workflow_scripts.runtime.numbers import exact

# the name of greedy answers, and of a filter that keeps all that can be trained on
GREEDY = "greedy"
ALL_KEPT = "all"


def temperature_of(answers: AnswerSettings) -> float:
    """Temperature of sampling; 0 is greedy."""
    if answers.temperature is not None:
        return answers.temperature
    return 1.0 if answers.by == "student" else 0.0


def generated_name(answers: AnswerSettings) -> str:
    """Name of the folder of a teacher's answers: how they were drawn."""
    temperature = temperature_of(answers)
    return f"{answers.samples}-samples-t{exact(temperature)}" if temperature else GREEDY


def kept_name(keep: KeptAnswers) -> str:
    """Name of the folder of kept answers: no two filters share it."""
    default = KeptAnswers()
    changed = {
        name.removeprefix("min_"): value
        for name, value in keep
        if value is not None and value != getattr(default, name)
    }
    return "_".join(f"{name}={exact(value)}" for name, value in changed.items()) or ALL_KEPT


def kind_of(answers: AnswerSettings) -> str:
    """How answers are drawn and kept, in one name for tables: `greedy`, `8-samples-t0.7, …`."""
    kept = kept_name(answers.keep)
    return ", ".join([generated_name(answers), *([kept] if kept != ALL_KEPT else [])])

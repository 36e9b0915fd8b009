"""Chooses the generated answers that are trained on, and writes them as examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from workflow_scripts.answers.records import REASONS, Answer, have_several, read_answers, told
from workflow_scripts.config.slices import KeptSlice
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import write_json
from workflow_scripts.tasks.examples import write_examples

# a share of samples that equals the limit may lie below it by rounding
_ROUNDING = 1e-9


def main(settings: KeptSlice, answers: Path, examples: Path, counts: Path) -> None:
    """Choose the generated answers that are trained on.

    answers: answers.parquet.
    examples, counts: examples.parquet and how many answers were kept, to write.
    """
    given = read_answers(answers)
    try:
        kept, told_apart = choose_answers(given, settings)
    except InputError as error:
        raise InputError(f"{answers}: {error}") from None
    print(f"answers: {told(given)}; {len(kept)} kept", flush=True)
    several = have_several(given)
    write_examples(examples, [answer.example(several) for answer in kept])
    write_json(counts, told_apart)


def choose_answers(
    answers: Sequence[Answer], settings: KeptSlice
) -> tuple[list[Answer], dict[str, int]]:
    """The kept answers in their order, and counts: answered, by reason for leaving out, kept.

    Raises InputError if too many are unusable or too few are left.
    """
    unusable = [_unusable(answer, settings) for answer in answers]
    counts = {"answered": len(answers)} | _count_unusable(answers, unusable, settings)
    kept = [answer for answer, reason in zip(answers, unusable, strict=True) if reason is None]
    for name, passing in _FILTERS.items():
        limit = getattr(settings, name)
        passed = kept if limit is None else passing(kept, limit)
        counts[name] = len(kept) - len(passed)
        kept = passed
    counts["kept"] = len(kept)
    if len(kept) < settings.least:
        reasons = ", ".join(
            f"{count} {REASONS.get(name, f'by `{name}`')}"
            for name, count in counts.items()
            if count and name not in ("answered", "kept")
        )
        raise InputError(
            f"{len(kept)} of {len(answers)} answers are left ({reasons or 'none left out'}), but "
            f"training needs {settings.least}; loosen `answers.keep` or answer more questions"
        )
    return kept, counts


def _unusable(answer: Answer, settings: KeptSlice) -> str | None:
    """Why an answer is not trained on; None if it may be."""
    is_kept = settings.keep_cut and answer.unusable == "cut"
    return None if is_kept else answer.unusable


def _count_unusable(
    answers: Sequence[Answer], reasons: Sequence[str | None], settings: KeptSlice
) -> dict[str, int]:
    counts = Counter(reasons)
    unusable = counts.total() - counts[None]
    if unusable > settings.max_unusable * len(answers) + _ROUNDING:
        raise InputError(
            f"{unusable} of {len(answers)} answers are unusable ({told(answers)}), more than "
            f"{settings.max_unusable:.0%}; raise `generation.max_new_tokens` of the task or, for "
            "answers that are trained on, `answers.keep.max_unusable`"
        )
    return {reason: counts[reason] for reason in REASONS}


def _agreed(answers: list[Answer], least: float) -> list[Answer]:
    return [answer for answer in answers if answer.agreement >= least - _ROUNDING]


def _likely(answers: list[Answer], least: float) -> list[Answer]:
    return [answer for answer in answers if answer.mean_logprob >= least]


def _surest(answers: list[Answer], share: float) -> list[Answer]:
    """This share of the answers, those with the highest mean log-probabilities; in their order."""
    order = sorted(range(len(answers)), key=lambda index: -answers[index].mean_logprob)
    chosen = sorted(order[: round(share * len(answers))])
    return [answers[index] for index in chosen]


# field of the settings → the answers that pass, in the order in which they are applied
_FILTERS: dict[str, Callable[[list[Answer], float], list[Answer]]] = {
    "min_agreement": _agreed,
    "min_logprob": _likely,
    "surest": _surest,
}


if __name__ == "__main__":
    run_program(main)

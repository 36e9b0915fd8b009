"""Comparison groups: their members by model and task, their pairs, and the default groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import combinations, pairwise
from typing import Any

from workflow_scripts.config.comparisons import (
    ComparisonGroup,
    ComparisonSettings,
    Design,
    MarginAsked,
)
from workflow_scripts.config.slices import ComparisonSlice, MainPair
from workflow_scripts.config.sweeps import Scalar, SweepSettings
from workflow_scripts.results.names import (
    baselines_among,
    is_main,
    is_transferred,
    shots_after,
    source_of,
    swept_field,
    tuned,
    without_source,
)
from workflow_scripts.study.matrix import Matrix
from workflow_scripts.study.sweeps import single_sweeps, variants_of, written
from workflow_scripts.training.fields import field_of_condition

# the group of tuned conditions, where no other has any
TUNED = "tuned"


class ComparisonGroups:
    """The groups of an experiment, and their members for each model and task."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self.experiment = matrix.experiment

    @cached_property
    def all(self) -> dict[str, ComparisonSettings]:
        """The groups of the config, else the default groups; then that of tuned conditions."""
        experiment = self.experiment
        groups = experiment.comparisons or default_groups(
            self.matrix.names,
            experiment.sweeps,
            experiment.analysis.baseline,
            *([] if self.matrix.models_here else ["Which results differ?"]),
        )
        return dict(groups) | self.tuned_group(groups)

    def tuned_group(
        self, others: Mapping[str, ComparisonSettings]
    ) -> dict[str, ComparisonSettings]:
        """Tuned conditions in pairs; none where another group has one of them, or there is one."""
        members = [tuned(condition) for condition in self.matrix.candidates]
        compared = {member for group in others.values() for member in group.members}
        if len(members) < 2 or compared & set(members):
            return {}
        question = "What differs when each condition is tuned?"
        return {TUNED: ComparisonSettings(question=question, members=tuple(members))}

    def texts_of(self, group: str) -> dict[str, str]:
        """Member → its text in the report."""
        members = self.all[group].members
        return dict(members) if isinstance(members, dict) else {}

    def of_pair(self, model: str, task: str) -> list[ComparisonGroup]:
        """Groups with at least two results of this model on this task.

        A group of runs needs at least one run here, if the task has any: a group of transferred
        results says nothing about their source task.
        """
        results = self.matrix.names_of(model, task)
        is_trained = self.matrix.is_trained
        answered_by_runs = any(map(is_trained, results))
        present = []
        for name, group in self.all.items():
            members = tuple(member for member in group.members if member in results)
            lacks_runs = not any(map(is_trained, members))
            is_of_runs = any(map(is_trained, group.members))
            if len(members) > 1 and not (answered_by_runs and is_of_runs and lacks_runs):
                present.append(
                    ComparisonGroup(
                        name=name, members=members, design=group.design, margin=margin_of(group)
                    )
                )
        return present

    def named(self, model: str, task: str, group: str) -> ComparisonGroup:
        """The group of this name, with its members of this model and task."""
        return next(found for found in self.of_pair(model, task) if found.name == group)

    def comparisons_of(self, model: str, task: str) -> list[ComparisonSlice]:
        """The groups of `of_pair` with their pairs."""
        return [
            ComparisonSlice(**group.model_dump(), pairs=pairs_of(group.members, group.design))
            for group in self.of_pair(model, task)
        ]

    def tuned_of(self, model: str, task: str) -> dict[str, dict[str, str]]:
        """Conditions that are tuned here → their candidates → the varied fields and their values.

        A variant has the text that follows the condition in its name.
        """
        trained = self.matrix.conditions_of(model, task)
        return {
            arm: {
                name: name.removeprefix(f"{arm}~") if name != arm else self._own_values(arm, task)
                for name in candidates
                if name in trained
            }
            for arm, candidates in self.matrix.candidates.items()
            if arm in trained
        }

    def _own_values(self, arm: str, task: str) -> str:
        """The values of a tuned condition itself: `learning_rate=0.0002`."""
        fields = {
            sweep.field: None
            for sweep in self.experiment.sweeps
            if sweep.choose and arm in (sweep.condition, *(sweep.conditions or ()))
        }
        values = {field: self._setting_at(arm, field, task) for field in fields}
        told = [f"{name}={written(own)}" for name, own in values.items() if isinstance(own, Scalar)]
        return ", ".join(told) or "unchanged"

    def main_pairs_of(self, model: str, task: str) -> list[MainPair]:
        """The main pair of each group of `of_pair`."""
        return [self._main_pair(group) for group in self.of_pair(model, task)]

    def _main_pair(self, group: ComparisonGroup) -> MainPair:
        """The pair that answers the group's question before others.

        `steps`: the last member with the first. `first`: the second with the first. `pairs`: the
        first trained member with the baseline, or with the first member where that is not in it.
        """
        start, *others = group.members
        first = others[-1] if group.design == "steps" else others[0]
        if group.design == "pairs":
            baselines = baselines_among(group.members, self.experiment.analysis.baseline)
            start = next(iter(baselines), start)
            others = [member for member in group.members if member != start]
            first = next(filter(self.matrix.is_trained, others), others[-1])
        return MainPair(group=group.name, first=first, second=start)

    def swept_values(self, members: Iterable[str], task: str) -> dict[str, float]:
        """Result → its number in the swept field of a group.

        Empty unless the members are swept in exactly one field. Members without a number there are
        left out. For `train_items` a base result has its shots.
        """
        members = list(members)
        fields = {field for name in members if (field := swept_field(name))}
        if len(fields) != 1:
            return {}
        (field,) = fields
        values = {name: self._setting_at(name, field, task) for name in members}
        return {
            name: value
            for name, value in values.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }

    def _setting_at(self, result: str, field: str, task: str) -> Any:
        """The value of a field in the condition of a result; None where it has none."""
        if field == "train_items":
            return self.matrix.support(task, result)
        condition = self.experiment.conditions.get(without_source(result))
        if condition is None or self.experiment.training is None:
            return None
        training = self.experiment.training.model_dump()
        recipe = condition.model_dump()
        adapter = recipe["adapter"] or training["adapter"]
        try:
            value = field_of_condition(recipe | {"adapter": adapter}, field)
        except KeyError:  # no such term
            return None
        return training.get(field) if value is None else value


def margin_of(group: ComparisonSettings) -> MarginAsked | None:
    """What the group asks about a margin, if anything."""
    asked = group.equivalent or group.non_inferior
    if asked is None:
        return None
    return MarginAsked(margin=asked.margin / 100, both_ways=group.equivalent is not None)


def pairs_among(members: int, design: Design) -> int:
    """The number of pairs that `pairs_of` gives for so many members."""
    if design == "pairs":
        return members * (members - 1) // 2
    return members - 1 if design == "first" or members < 3 else members


def pairs_of(members: Sequence[str], design: Design) -> tuple[tuple[str, str], ...]:
    """(first, second) of each comparison among the members; the verdict is about the first."""
    start, *others = members
    if design == "first":
        return tuple((member, start) for member in others)
    if design == "pairs":
        return tuple((later, earlier) for earlier, later in combinations(members, 2))
    steps = [(later, earlier) for earlier, later in pairwise(members)]
    whole = [(others[-1], start)] if len(others) > 1 else []
    return (*steps, *whole)


def default_groups(
    results: Sequence[str],
    sweeps: Sequence[SweepSettings],
    baseline: str,
    question: str = "Which supervision trains in what the demonstrations give?",
) -> dict[str, ComparisonSettings]:
    """`main`, then a group for each sweep of conditions and each source task of transfers.

    Transferred results are grouped by shots, with the base result of the same shots.

    results: of the whole experiment, in the order base results, conditions, transfers.
    baseline: the condition with which variants of a sweep are compared, if it exists.
    question: of `main`.
    """
    main = sorted(filter(is_main, results), key=_shots_first)
    groups = {"main": (question, main, "pairs")}
    for sweep in (single for several in sweeps for single in single_sweeps(several)):
        variants = [name for name in variants_of(sweep) if name in results]
        if sweep.condition is not None and variants:
            reference = [baseline] if baseline in results and baseline != sweep.condition else []
            groups[f"{sweep.condition}~{sweep.field}"] = (
                f"What does the {sweep.field} of {sweep.condition} change?",
                [*reference, sweep.condition, *variants],
                "first",
            )
    transferred: dict[tuple[str, int], list[str]] = {}
    for name in filter(is_transferred, results):
        transferred.setdefault((source_of(name), shots_after(name)), []).append(name)
    for (source, shots), own in transferred.items():
        after = f" after {shots} demonstrations" if shots else ""
        groups[f"from-{source}-{shots}-shot" if shots else f"from-{source}"] = (
            f"What does training on {source} change on another task{after}?",
            [f"{shots}-shot", *own],
            "first",
        )
    return {
        name: ComparisonSettings.model_validate(
            {"question": question, "members": tuple(members), "design": design}
        )
        for name, (question, members, design) in groups.items()
        if len(members) > 1
    }


def _shots_first(name: str) -> tuple[bool, int]:
    """Sort key: base results by shots, then conditions in their order."""
    shots = name.removesuffix("-shot")
    return (False, int(shots)) if name != shots and shots.isdigit() else (True, 0)

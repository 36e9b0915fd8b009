"""Bad settings are refused before any job, in one line that names the key and what to do."""

from __future__ import annotations

import copy

import pytest

from tests.workflow.conftest import EXPERIMENT, Project


def change(path: str, value):
    def apply(experiment):
        *parents, last = path.split(".")
        for key in parents:
            experiment = experiment[int(key) if key.isdigit() else key]
        experiment[last] = value

    return apply


CASES = {
    "unknown key": (
        change("conditions.sft.teechers", 1),
        "conditions.sft: unknown key 'teechers'; valid here: teacher",
    ),
    "unknown top-level key": (
        change("sedes", [0]),
        "config: unknown key 'sedes'; valid here: seeds",
    ),
    "wrong type": (change("training.steps", "many"), "training.steps: Input should be a valid"),
    "missing teacher": (
        change("conditions.layerwise.teacher", "few-shots"),
        "conditions.layerwise.teacher: no teacher named 'few-shots'; valid here: few-shot",
    ),
    "negative weight": (
        change("conditions.layerwise.terms.1.weight", -1),
        "conditions.layerwise.terms.1.weight: Input should be greater than or equal to 0",
    ),
    "layers out of range": (
        lambda e: (
            e["models"]["tiny"].update(layers=2),
            e["conditions"]["layerwise"]["terms"][1].update(layers=[0, 2]),
        ),
        "conditions.layerwise.terms.1.layers: layer 2 does not exist: tiny has layers 0 to 1",
    ),
    "more shots than the pool": (
        change("shots", [0, 5]),
        "shots: 5 shots, but tasks.echo reserves 4 demonstrations",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_settings_are_refused_in_one_line(case, finished_project: Project):
    apply, message = CASES[case]
    experiment = copy.deepcopy(EXPERIMENT)
    apply(experiment)
    finished_project.configure(experiment)
    try:
        outcome = finished_project.snakemake("--cores", "1")
    finally:
        finished_project.configure(EXPERIMENT)
    assert outcome.returncode != 0
    lines = (outcome.stdout + outcome.stderr).splitlines()
    assert [line for line in lines if line.startswith(message)], lines
    assert not [line for line in lines if line.startswith("Traceback")]

"""Programs that complete items, killed in the middle and started again."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from tests.outputs import save
from tests.unit.evaluation.conftest import MEASURED, SETTINGS
from tests.warm_python import WarmPython
from workflow_scripts.config.slices import CompletionSlice, EngineSettings
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.evaluation import (
    complete_again,
    complete_base,
    complete_run,
    complete_transfers,
)
from workflow_scripts.study.wildcards import as_json
from workflow_scripts.tasks.examples import Example, write_examples

ITEMS = 24
# about a second for each checkpoint, so that there is a middle
LONG = SETTINGS.model_copy(
    update={
        "generation": GenerationSettings(max_new_tokens=60),
        "engine": EngineSettings(kind="transformers", batch_size=2, server=None),
    }
)


@pytest.fixture
def given(files, base, tmp_path: Path) -> dict[str, object]:
    """Arguments of every program, for more items than `files` holds."""
    for split in ("validation", "test"):
        examples = [Example(f"{split}-{n}", f"{split} cat {n}", "cats") for n in range(ITEMS // 2)]
        write_examples(files[split], examples)
    chosen_on = tmp_path / "predictions.parquet"
    columns = ["split", "step", "selection", "selection_loss"]
    save(pd.DataFrame([("validation", 10, True, 1.0)], columns=columns), chosen_on)
    return {
        **files,
        "settings": LONG,
        "base": base,
        "steps": [2, 10],
        "chosen_on": chosen_on,
    }


def of_one_task(given: Mapping[str, object]) -> dict[str, object]:
    """The arguments of a program that answers several tasks."""
    lists = {name: [given[name]] for name in ("demonstrations", "validation", "test", "base")}
    return {**given, **lists, "settings": {"other": [given["settings"]]}}


OWN = {
    complete_base: ("demonstrations",),
    complete_run: ("checkpoints", "steps", "base"),
    complete_transfers: ("checkpoints", "chosen_on", "demonstrations", "base"),
}


@pytest.mark.parametrize("entry_point", OWN)
def test_a_killed_program_asks_only_for_the_rest_and_writes_the_same_table(
    entry_point: ModuleType, given, call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    names = ("settings", "model", "validation", "test", *OWN[entry_point])
    every = of_one_task(given) if entry_point is complete_transfers else given
    arguments = {name: every[name] for name in names}
    uninterrupted = call(entry_point, "uninterrupted", **arguments)
    killed = tmp_path / "killed"
    costs = {"cost": killed / "inference.json"} if entry_point in MEASURED else {}
    command = command_line(arguments | costs | {"completions": killed / "completions.parquet"})
    answered = kill_after(7, entry_point, command)
    assert not (killed / "completions.parquet").exists()
    capsys.readouterr()
    table = call(entry_point, "killed", **arguments)
    ((kept, wanted),) = re.findall(r"completions: (\d+) of (\d+) ans", capsys.readouterr().out)
    assert int(kept) == answered < int(wanted)
    pd.testing.assert_frame_equal(table, uninterrupted)


def command_line(arguments: Mapping[str, object]) -> list[str]:
    """The arguments of an entry point; a list is several words."""
    command = []
    for key, value in arguments.items():
        if isinstance(value, CompletionSlice | dict):
            value = as_json(value)
        words = value if isinstance(value, list) else [value]
        command += [f"--{key.replace('_', '-')}", *map(str, words)]
    return command


def kill_after(answers: int, entry_point: ModuleType, command: list[str]) -> int:
    """Kills the program when it has written this number of answers; returns their number then."""
    folder = Path(command[-1]).parent / ".completing"
    process = WarmPython(["-m", entry_point.__name__, *command])
    written = 0
    while written < answers:
        assert process.poll() is None
        time.sleep(0.005)
        written = sum(path.read_text().count("\n") for path in folder.rglob("answers.jsonl"))
    process.kill()
    process.wait()
    return sum(path.read_text().count("\n") for path in folder.rglob("answers.jsonl"))


@pytest.mark.parametrize("entry_point", [complete_again, complete_base, complete_run])
def test_a_program_continues_only_from_the_same_files(
    entry_point: ModuleType, given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Every file that it reads is part of its state's fingerprint."""
    fingerprinted: list[Path] = []

    def refuse(completions: Path, settings: CompletionSlice, inputs: list[Path], name: str):
        fingerprinted.extend(inputs)
        raise InterruptedError

    monkeypatch.setattr(entry_point, "state_of", refuse)
    outputs = {name: tmp_path / name for name in ("completions", "cost")}
    arguments = given | outputs
    own = {name: arguments[name] for name in inspect.signature(entry_point.main).parameters}
    with pytest.raises(InterruptedError):
        entry_point.main(**own)
    read = {path for name, path in own.items() if isinstance(path, Path) and name not in outputs}
    assert set(fingerprinted) == read

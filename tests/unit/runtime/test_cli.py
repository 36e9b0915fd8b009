"""The command line of an entry point follows from the signature of its `main`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.config.base import Strict
from workflow_scripts.runtime.cli import call, packed, run_program
from workflow_scripts.runtime.errors import InputError


class Settings(Strict):
    steps: int
    rate: float = 0.1


given: dict[str, Any] = {}


def main(
    settings: Settings,
    model: Path,
    teacher_models: list[Path],
    steps: list[int],
    counts: dict[str, int],
    groups: list[Settings],
    name: str,
    drift: Path | None = None,
    spare: bool = False,
) -> None:
    """Train one student.

    Nothing more is said of it.

    model, drift: manifests, 100 % of
        them.
    name: of the run.
    Raises InputError never.
    """
    given.update(locals())


WORDS = {
    "--settings": ['{"steps": 40}'],
    "--model": ["m.json"],
    "--teacher-models": ["a.json", "b.json"],
    "--steps": ["10", "20"],
    "--counts": ['{"train": 3}'],
    "--groups": ['[{"steps": 1}]'],
    "--name": ["sft"],
}


def command(**changed: list[str] | None) -> list[str]:
    """The words of a command line; None leaves a flag out."""
    own = WORDS | {f"--{flag.replace('_', '-')}": words for flag, words in changed.items()}
    return [word for flag, words in own.items() if words is not None for word in (flag, *words)]


def test_every_argument_has_the_type_of_its_parameter():
    call(main, command())
    assert given == {
        "settings": Settings(steps=40),
        "model": Path("m.json"),
        "teacher_models": [Path("a.json"), Path("b.json")],
        "steps": [10, 20],
        "counts": {"train": 3},
        "groups": [Settings(steps=1)],
        "name": "sft",
        "drift": None,
        "spare": False,
    }


def test_a_list_may_be_empty():
    call(main, command(teacher_models=[]))
    assert given["teacher_models"] == []


@pytest.mark.parametrize(
    ("words", "drift"), [([], None), (["drift.csv"], Path("drift.csv")), (None, None)]
)
def test_an_optional_argument_may_be_missing_or_have_no_value(words, drift):
    call(main, command(drift=words))
    assert given["drift"] == drift


def test_a_switch_is_on_where_it_is_given():
    call(main, [*command(), "--spare"])
    assert given["spare"] is True


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"settings": ['{"stps": 40}']}, "--settings: .*valid here: steps"),
        ({"settings": ['{"steps": "x"}']}, "--settings: steps: Input should be a valid integer"),
        ({"groups": ['[{"steps": 1}, {}]']}, "--groups: 1.steps: Field required"),
        ({"counts": ["{"]}, "--counts: Invalid JSON"),
        ({"steps": ["ten"]}, "--steps: invalid int value: 'ten'"),
        ({"model": []}, "--model: expected one argument"),
        ({"model": None}, "the following arguments are required: --model"),
        ({"nam": ["sft"]}, "unrecognized arguments: --nam sft"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_its_flag(changed, message):
    with pytest.raises(InputError, match=message):
        call(main, command(**changed))


def test_a_program_that_is_refused_ends_with_one_line_and_status_2(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train", *command(model=None)])
    with pytest.raises(SystemExit) as ended:
        run_program(main)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: the following arguments are required: --model\n"


def test_help_is_what_the_docstring_says(capsys):
    with pytest.raises(SystemExit) as ended:
        call(main, ["--help"])
    assert ended.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Train one student. options:" in told
    assert "--model PATH manifests, 100 % of them --teacher-models" in told
    assert "--settings JSON Settings as JSON" in told
    assert "--name STR of the run --drift" in told


def test_the_rest_of_the_line_is_passed_on():
    def launch(*command: str, gpu: int) -> None:
        given.update(launched=command, gpu=gpu)

    call(launch, ["--gpu", "2", "training.train", "--gpu", "3", "--run", "-"])
    assert given["launched"] == ("training.train", "--gpu", "3", "--run", "-")
    assert given["gpu"] == 2


def test_json_may_hold_anything_that_a_shell_would_read():
    text = "a 'b' \"c\" $HOME\n{x}"
    call(main, command(settings=[json.dumps({"steps": 1})], name=[text]))
    assert given["name"] == text


def test_json_that_is_longer_than_an_argument_may_be_reaches_the_program(capfd):
    counts = json.dumps({f"results/big/model/task/{number}": number for number in range(20_000)})
    text = json.dumps("word " * 100_000)
    with pytest.raises(OSError, match="too long"):
        subprocess.run([sys.executable, "-c", "", counts], check=True)
    program = (
        "import sys; from workflow_scripts.runtime.cli import call\n"
        "def main(counts: dict[str, int], text: str): print(len(counts), len(text))\n"
        "call(main, sys.argv[1:])"
    )
    arguments = ["--counts", packed(counts), "--text", packed(text)]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)
    assert capfd.readouterr().out == f"20000 {len(text)}\n"


def test_a_short_argument_is_not_packed():
    assert packed('{"steps": 40}') == '{"steps": 40}'


def test_a_program_is_imported_without_a_search_for_garbage_and_runs_with_it():
    program = (
        "import gc, sys\n"
        "sys.argv[0] = '-m'\n"  # as Python sets it while it looks for the module
        "from workflow_scripts.runtime.cli import run_program\n"
        "imported = gc.isenabled()\n"
        "def main() -> None:\n"
        "    print(imported, gc.isenabled(), gc.get_freeze_count() > 0)\n"
        "run_program(main)\n"
    )
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert run.stdout == "False True True\n"

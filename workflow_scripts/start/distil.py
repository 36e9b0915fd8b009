"""Writes the study of `make distil`: a prompt and unlabelled questions become an adapter."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.config.data import DataSettings, ItemCounts
from workflow_scripts.runtime.cli import run_program
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import atomic_file, expanded
from workflow_scripts.study.layout import Layout
from workflow_scripts.study.load import check_fetched_models, load_study
from workflow_scripts.study.texts import IN_FILE, text_of
from workflow_scripts.tasks.origins import ONLY_SPLIT
from workflow_scripts.tasks.sources import read_source

TEACHER, CONDITION, SEED = "prompted", "distilled", 0
BATCH = 8
# a few looks at every question, but no fewer optimizer steps than these
EPOCHS, STEPS = 3, 40
LEAST_QUESTIONS = 20
# a small model never ends some of its answers; they are left out, and more than these refused
MOST_UNUSABLE = 0.3
UNLABELLED = ("train", "validation", "test")
# stages whose jobs load the model
ON_GPU = ("icl_gap", "teachers", "training", "evaluation")
HEADER = """\
# Written by `make distil`. It is yours: change it, and run it by
#   snakemake --cores all --configfile {study} -- {card}
"""


def main(
    prompt: str,
    questions: str,
    scorer: str,
    model: str | None = None,
    revision: str | None = None,
    name: str | None = None,
    max_tokens: int = 128,
    gpu: int = 0,
    embedded: Path = Path("config/config.yaml"),
) -> None:
    """Write the study file of `make distil`, and print its path, the card's and the report's.

    prompt: UTF-8 text file with the prompt, which the student will do without.
    questions: .jsonl, .json or .parquet file with a `question` in each row.
    model: folder or hub:<id>; the embedded model by default.
    revision: commit or tag of a model on the hub.
    name: of the task, with what no name may hold replaced; by default that of the prompt's file.
    scorer: compares student and prompted model.
    max_tokens: most tokens of an answer.
    gpu: GPUs of each job that loads the model.
    embedded: study file whose first model is the default.
    """
    task = _as_name(name or Path(prompt).stem)
    models = _models(model, revision, embedded)
    study = study_of(task, prompt, questions, models, scorer, max_tokens, gpu)
    print(*write_study(study))


def study_of(
    task: str,
    prompt: str,
    questions: str,
    models: dict[str, Any],
    scorer: str,
    max_tokens: int,
    gpu: int = 0,
) -> dict[str, Any]:
    """The study as its file holds it; models: the section.

    Raises InputError if prompt or questions cannot be used, or there are too few questions.
    """
    text_of(f"{IN_FILE}{prompt}")
    counts = split_counts(count_questions(questions), questions)
    epochs = max(EPOCHS, math.ceil(STEPS * BATCH / counts["train"]))
    study = {
        "experiment": f"distil-{task}",
        "models": models,
        "tasks": {
            task: {
                "data": {"source": questions, "unlabelled": list(UNLABELLED), "items": counts},
                "reference": TEACHER,
                "generation": {"max_new_tokens": max_tokens},
                "scoring": {"scorer": scorer},
            }
        },
        "shots": [0],
        "teachers": {TEACHER: {"system": f"{IN_FILE}{prompt}"}},
        "conditions": {
            CONDITION: {
                "teacher": TEACHER,
                "answers": {"by": "teacher", "keep": {"max_unusable": MOST_UNUSABLE}},
                "terms": [
                    {"objective": "cross_entropy"},
                    {
                        "objective": "logit_kl",
                        "weight": 1,
                        "position": "answer",
                        "temperature": 1,
                        "top_k": 256,
                        "reduction": "mean",
                    },
                ],
            }
        },
        "comparisons": {
            "prompt": {
                "question": "How much of the prompt is in the weights?",
                "members": [CONDITION, "0-shot"],
            }
        },
        "evaluation": {"choose_by": "agreement"},
        "training": {
            "epochs": epochs,
            "checkpoints": [math.ceil(epochs * part / 3) for part in (1, 2, 3)],
            "batch_size": BATCH,
            "learning_rate": 2e-4,
            "warmup_steps": 0.1,
        },
    }
    if gpu:
        jobs = {"threads": 8, "gpu": gpu, "mem_mb": 32000, "runtime": 240}
        study["resources"] = {stage: dict(jobs) for stage in ON_GPU}
    return study


def count_questions(path: str) -> int:
    """The number of different questions of a file.

    Raises InputError if it cannot be read, a row has no question, or it has splits of its own.
    """
    if not expanded(path).is_file():
        raise InputError(f"{path}: no such file; give a .jsonl, .json or .parquet file")
    items = ItemCounts(demonstrations=0, train=1, validation=1, test=1)
    splits = read_source(DataSettings(source=path, unlabelled=UNLABELLED, items=items)).splits
    if set(splits) != {ONLY_SPLIT}:
        raise InputError(
            f"{path}: has a column `split`, but the questions are split anew; rename it"
        )
    return len({example.question for example in splits[ONLY_SPLIT]})


def split_counts(number: int, path: str) -> dict[str, int]:
    """Items of each split: a quarter for the test and a tenth for validation, up to 100 and 40.

    Raises InputError naming the file if the questions are too few.
    """
    if number < LEAST_QUESTIONS:
        raise InputError(
            f"{path}: has {number} different questions, but at least {LEAST_QUESTIONS} are needed "
            "to train, to choose a checkpoint and to test; add some, without answers"
        )
    test, validation = min(100, number // 4), min(40, number // 10)
    return {
        "demonstrations": 0,
        "train": number - test - validation,
        "validation": validation,
        "test": test,
    }


def write_study(study: dict[str, Any]) -> tuple[str, str, str]:
    """Writes `study.yaml` into the folder of its results, unless it is there already.

    Returns its path, that of the exported adapter's card, and that of the report.
    Raises InputError if the study is not valid, or another one is there.
    """
    planned = load_study(study)
    check_fetched_models(planned)
    layout = planned.layout
    (model,), (task,) = planned.experiment.models, planned.experiment.tasks
    file = Path(layout.result("study.yaml"))
    card = layout.export("README.md", model, task, CONDITION, SEED, None)
    body = yaml.safe_dump(study, sort_keys=False, default_flow_style=None, width=100)
    text = HEADER.format(study=file, card=card) + body
    if not file.exists():
        with atomic_file(file, checksum=False) as partial:
            partial.write_text(text, encoding="utf-8")
    elif yaml.safe_load(file.read_text(encoding="utf-8")) != study:
        raise InputError(
            f"{file}: is another study; run it as its first lines say, delete it, or set NAME="
        )
    return str(file), card, layout.result("report.html")


def _models(model: str | None, revision: str | None, embedded: Path) -> dict[str, Any]:
    """The section `models` with one model."""
    if model is None:
        if revision is not None:
            raise InputError("REVISION= is of a model on the hub; set MODEL=hub:<id> too")
        name, settings = next(iter(yaml.safe_load(embedded.read_text())["models"].items()))
        return {name: settings}
    if model.startswith("hub:"):
        if revision is None:
            raise InputError(f"{model}: set REVISION=, the commit of the hub to use")
        return {_as_name(model.rpartition("/")[2]): {"source": model, "revision": revision}}
    folder = expanded(model)
    if not folder.is_dir():
        raise InputError(f"{model}: no such folder; a model of the hub is hub:<id> with REVISION=")
    name = _as_name(folder.resolve().name)
    if folder.resolve() == Path(Layout("").model(name)).parent.resolve():
        raise InputError(f"{model}: was fetched by this workflow; give the source it came from")
    return {name: {"source": model}}


def _as_name(text: str) -> str:
    """The text with what no name of a study may hold replaced by hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "prompt"


if __name__ == "__main__":
    run_program(main)

"""Processes that train together do what one process does."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import torch
from safetensors.torch import load_file

from tests.tiny_models import VOCABULARY, save_tiny_model
from tests.unit.training.conftest import NOUNS, TEACHERS, TERMS, in_phases, phase_slice, run_slice
from workflow_scripts.config.slices import RunSlice, TeacherTarget
from workflow_scripts.config.terms import HiddenTerm, LabelCrossEntropyTerm
from workflow_scripts.config.training import FullSettings
from workflow_scripts.runtime.cli import call
from workflow_scripts.runtime.files import read_json
from workflow_scripts.tasks.examples import write_examples
from workflow_scripts.teachers.store import TargetStore
from workflow_scripts.teachers.targets import target_name, teacher_target_name
from workflow_scripts.training import train
from workflow_scripts.training.run import _trainer_arguments
from workflow_scripts.training.terms import reads_of

ROOT = Path(__file__).parents[3]
FULL = FullSettings(kind="full")
SHARDED = FullSettings(kind="full", shard=True)
EARLY_STATES = TERMS[1].model_copy(update={"layers": "early"})
ATTENTION = HiddenTerm(
    objective="hidden",
    weight=1.0,
    site="attention",
    layers="all",
    position="prompt",
    normalize=False,
    reduction="sum",
)
# eleven examples, so that a step reaches over the end of a permutation
REPLICATED = {
    "cross-entropy": run_slice(terms=TERMS[:1]),
    "states of early layers": run_slice(terms=(EARLY_STATES,)),
    "all terms": run_slice(),
    "micro-batches": run_slice(micro_batch_size=1),
    "gradient checkpointing": run_slice(gradient_checkpointing=True),
    "full": run_slice(adapter=FULL),
    "full, attention alone": run_slice(adapter=FULL, terms=(ATTENTION,)),
    "phases": in_phases(
        run_slice(),
        phase_slice((EARLY_STATES,), steps=2),
        phase_slice((TERMS[0], TERMS[2]), steps=2),
    ),
    "classification head": run_slice(
        terms=(LabelCrossEntropyTerm(objective="label_cross_entropy"),),
        labels=tuple(f"{noun}s" for noun in NOUNS),
        head="classification",
    ),
}
FSDP = {
    "sharded": run_slice(adapter=SHARDED, layer_decay=0.5, keep_state=True),
    "sharded, attention alone": run_slice(
        adapter=SHARDED, terms=(ATTENTION,), gradient_checkpointing=True, micro_batch_size=1
    ),
    "sharded, tied": run_slice(adapter=SHARDED, terms=TERMS[:1], scheduler="constant"),
}
CONDITIONS = REPLICATED | FSDP
FIRST_HALF = run_slice(
    adapter=SHARDED,
    terms=TERMS[:1],
    scheduler="constant",
    keep_state=True,
    steps=2,
    checkpoints=[2],
)
# the teacher is the base student, which so small steps leave where it is
OWN_STATES = run_slice(terms=(ATTENTION,), learning_rate=1e-9).model_copy(
    update={
        "teacher": "zero-shot",
        "phases": (
            phase_slice(
                (ATTENTION,),
                steps=4,
                reads=(
                    TeacherTarget(
                        teacher="zero-shot",
                        system=None,
                        context=TEACHERS["zero-shot"],
                        target=reads_of(ATTENTION).target,
                    ),
                ),
            ),
        ),
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def arguments_of(folder, model_manifest, smollm2_tokenizer, examples, manifests):
    """The command line of a run."""
    write_examples(folder / "train.parquet", examples)
    tied = save_tiny_model("llama", smollm2_tokenizer, folder / "tied")

    def arguments(settings: RunSlice, run: Path) -> list[str]:
        model = tied if "tied" in run.name else model_manifest
        targets = [
            str(manifests[teacher_target_name(read)]) for p in settings.phases for read in p.reads
        ]
        return [
            *("--settings", settings.model_dump_json(), "--model", str(model)),
            *("--examples", *[str(folder / "train.parquet")] * len(settings.phases)),
            *("--run", str(run)),
            *("--targets", *targets),
            *("--teacher-models", *[str(model_manifest)] * len(targets)),
        ]

    return arguments


@pytest.fixture(scope="module")
def together(folder, arguments_of) -> Path:
    """Runs of two processes; those that shard beside the others, at the same time."""
    root = folder / "together"
    halves = [("sharded, tied", FIRST_HALF)]
    jobs = []
    for name, runs in (
        ("replicated", [*REPLICATED.items(), ("own states", OWN_STATES)]),
        ("sharded", [*halves, *FSDP.items()]),
    ):
        file = folder / f"{name}.json"
        file.write_text(json.dumps([arguments_of(settings, root / run) for run, settings in runs]))
        with (folder / f"{name}.log").open("w") as stream:
            jobs.append(start("tests.unit.training.train_several", str(file), stdout=stream))
    assert [job.wait() for job in jobs] == [0, 0], logs(folder)
    return root


@pytest.fixture(scope="module")
def alone(folder, arguments_of) -> Path:
    """The same runs of one process."""
    root = folder / "alone"
    for name, settings in CONDITIONS.items():
        call(train.main, arguments_of(settings, root / name))
    return root


def start(module: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """A module in two processes, each with a device that does not exist."""
    devices = f"{time.monotonic_ns()}a,{time.monotonic_ns()}b"
    return subprocess.Popen(
        [
            *(
                sys.executable,
                "-m",
                "workflow_scripts.runtime.launch",
                "--gpu",
                "2",
                "--process-per-gpu",
            ),
            *(module, *arguments),
        ],
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": devices, "OMP_NUM_THREADS": "2"},
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def logs(folder: Path) -> str:
    return "\n".join(path.read_text() for path in folder.glob("*.log"))


def log(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "training_log.csv")


def weights(run: Path, step: int) -> dict[str, torch.Tensor]:
    (file,) = (run / f"checkpoints/step-{step}").glob("*.safetensors")
    return load_file(file)


# A divergence is a small difference of large logarithms: log p and log q reach ln V, each is
# rounded to eps/2 of that, and their difference is weighted by p, which adds up to 1. So float32
# knows T²·Σ p·(log p − log q) to T²·eps·ln V = 2.9e-6, however small it is. Measured against
# float64 after two steps: wrong by at most 1.2e-6, while the two trainings differ by 2e-9.
KL = TERMS[2]
ROUNDING_OF_KL = KL.temperature**2 * torch.finfo(torch.float32).eps * math.log(VOCABULARY)


@pytest.mark.parametrize("name", CONDITIONS)
def test_losses_terms_and_gradient_norms_are_those_of_one_process(together, alone, name):
    ours, expected = log(together / name), log(alone / name)
    assert list(ours) == list(expected)
    for column in expected:
        # of both sides
        rounding = 2 * ROUNDING_OF_KL if column.startswith(KL.objective) else 1e-8
        pd.testing.assert_series_equal(ours[column], expected[column], rtol=1e-4, atol=rounding)


@pytest.mark.parametrize("name", CONDITIONS)
def test_checkpoints_are_those_of_one_process(together, alone, name):
    files = [
        list(read_json(root / name / "checkpoints/manifest.json")["files"])
        for root in (together, alone)
    ]
    assert files[0] == files[1]
    for step in (2, 4):
        torch.testing.assert_close(
            weights(together / name, step), weights(alone / name, step), rtol=1e-3, atol=1e-5
        )


def test_as_many_tokens_are_seen_as_by_one_process(together, alone):
    seen = [read_json(root / "all terms/cost.json")["tokens"] for root in (together, alone)]
    assert seen[0] == seen[1]


def test_the_cost_is_of_both_processes(together, folder):
    told = (folder / "replicated.log").read_text()
    each = [int(number) / 1024 for number in re.findall(r"^(\d+) KiB$", told, re.MULTILINE)]
    assert len(each) == 2
    cost = read_json(together / "own states/cost.json")
    assert cost["processes"] == 2
    assert cost["peak_rss_mb"] == pytest.approx(sum(each), rel=0.3)


def test_each_example_meets_its_own_target(together, manifests, examples):
    (read,) = OWN_STATES.phases[0].reads
    store = TargetStore.open([manifests[teacher_target_name(read)]], target_name(read.target))
    states = torch.stack([store.read(example.item)["states"] for example in examples])
    others = torch.cdist(states.flatten(1), states.flatten(1)).fill_diagonal_(torch.inf)
    assert others.min() > 0.1
    assert log(together / "own states")["loss"].max() < 1e-6


def test_one_process_tells_the_progress_and_writes_the_events(together, folder):
    told = (folder / "replicated.log").read_text()
    assert told.count("step 4/4") == len(REPLICATED) + 1
    assert len(list((together / "all terms/tensorboard").iterdir())) == 1


def test_a_sharded_state_is_saved_and_continued(together, folder):
    """The tied run's steps 1 and 2 are another job's."""
    assert (folder / "sharded.log").read_text().count("step 1/4") == len(FSDP) - 1
    (state,) = (together / "sharded/.resume").glob("*/trainer/checkpoint-4")
    assert (state / "pytorch_model_fsdp.bin").exists()


@pytest.mark.parametrize(("processes", "sharded"), [(1, False), (2, True)])
def test_several_processes_are_needed_to_shard(tmp_path, processes, sharded):
    arguments = _trainer_arguments(FSDP["sharded"], tmp_path, False, processes)
    assert (arguments.fsdp_plugin_args is not None) == sharded


def test_sharded_gradients_of_mixed_precision_are_added_up_in_float32(tmp_path):
    arguments = _trainer_arguments(FSDP["sharded"], tmp_path, True, 2)
    policy = arguments.fsdp_plugin_args["mixed_precision_policy"]
    assert (policy.param_dtype, policy.reduce_dtype) == (torch.bfloat16, torch.float32)


def test_processes_end_with_their_launcher(arguments_of, tmp_path):
    endless = run_slice(terms=TERMS[:1], steps=100_000)
    launcher = start(
        "workflow_scripts.training.train",
        *arguments_of(endless, tmp_path),
        stdout=subprocess.PIPE,
    )
    assert launcher.stdout is not None
    assert any(line.startswith("step 3/") for line in launcher.stdout)
    workers = psutil.Process(launcher.pid).children()
    assert len(workers) == 2
    launcher.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=10)
    launcher.stdout.close()
    launcher.wait()
    assert not alive

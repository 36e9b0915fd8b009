"""What a training reports to: one run of each tracker, which no result depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.outputs import visible
from tests.unit.training.conftest import run_slice
from workflow_scripts.config.slices import TrackingSlice
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.training import tracking
from workflow_scripts.training.run import train_run
from workflow_scripts.training.saved_states import ResumeState
from workflow_scripts.training.targets import open_targets
from workflow_scripts.training.tracking import Reported, refuse_missing, reporting


def reported(state: Path, *trackers: str) -> Reported:
    given = TrackingSlice(report_to=trackers, experiment="demo", folder="results/demo/tracking")
    return Reported(given, Path("results/demo/tiny/plural/runs/sft/seed-0"), state, None)


def test_a_package_that_is_not_installed_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None if name == "mlflow" else name)
    with pytest.raises(InputError) as refused:
        refuse_missing(["tensorboard", "wandb", "mlflow"])
    assert str(refused.value) == (
        "report_to: mlflow needs the package mlflow-skinny, which is not installed; run "
        "`python -m pip install mlflow-skinny`, or remove mlflow"
    )


def test_a_training_without_the_package_ends_before_its_first_step(monkeypatch, tmp_path):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="wandb, which is not installed"):
        reporting(reported(tmp_path, "wandb")).__enter__()


def test_a_run_is_named_by_its_folder_in_the_results(tmp_path):
    assert reported(tmp_path).name == "tiny/plural/runs/sft/seed-0"


def test_a_resumed_training_knows_the_id_of_its_run_and_a_new_one_does_not(tmp_path):
    (tmp_path / "new").mkdir()
    assert reported(tmp_path).id == reported(tmp_path).id != reported(tmp_path / "new").id


@pytest.mark.parametrize("trackers", [(), ("tensorboard",)], ids=["none", "tensorboard"])
def test_what_is_reported_changes_nothing_that_is_trained(
    trackers, model, model_manifest, examples, manifests, tmp_path
):
    def train(folder: Path, *given: object) -> Path:
        settings = run_slice()
        targets = open_targets(
            settings, model_manifest, list(manifests.values()), [model_manifest] * len(manifests)
        )
        state = ResumeState.open(folder / ".resume", "a")
        train_run(settings, model, [examples], targets, state, folder, None, *given)
        return folder

    given = TrackingSlice(report_to=trackers, folder=str(tmp_path / "tracking"))
    plain, other = train(tmp_path / "plain"), train(tmp_path / "other", given)
    assert ("tensorboard" in visible(other)) == bool(trackers)
    for file in ("training_log.csv", "checkpoints/step-4/adapter_model.safetensors"):
        assert (other / file).read_bytes() == (plain / file).read_bytes()

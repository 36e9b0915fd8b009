"""Experiment trackers that a training reports to, by Trainer's own callbacks for them.

All of them stay on this machine, unless the variables of the trackers say otherwise (`WANDB_MODE`,
`MLFLOW_TRACKING_URI`, `TRACKIO_SPACE_ID`). A resumed training continues its run of each.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from workflow_scripts.config.slices import TrackingSlice
from workflow_scripts.config.training import Tracker
from workflow_scripts.runtime.errors import InputError, writing
from workflow_scripts.runtime.files import read_json, write_json

if TYPE_CHECKING:
    from transformers import TrainerCallback, TrainingArguments

# tag of a run in MLflow
_ID = "training"
# what pip installs without changing a pinned package of the workflow that computes
PACKAGES: dict[Tracker, str] = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow-skinny",
    "trackio": "trackio",
}


def refuse_missing(trackers: Sequence[Tracker]) -> None:
    """Raises InputError naming a tracker whose package is not installed."""
    for tracker in trackers:
        if find_spec(tracker) is None:
            package = PACKAGES[tracker]
            raise InputError(
                f"report_to: {tracker} needs the package {package}, which is not installed; run "
                f"`python -m pip install {package}`, or remove {tracker}"
            )


@dataclass(frozen=True)
class Reported:
    """A training that reports.

    run: its folder. state: a folder that is kept until it has finished.
    step: from which it resumes; None at its beginning.
    """

    tracking: TrackingSlice
    run: Path
    state: Path
    step: int | None

    @property
    def experiment(self) -> str:
        return self.tracking.experiment

    @property
    def name(self) -> str:
        return self.tracking.name or os.path.relpath(self.run, Path(self.tracking.folder).parent)

    @property
    def folder(self) -> Path:
        """What trackers write for all runs of the experiment."""
        folder = Path(self.tracking.folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @cached_property
    def id(self) -> str:
        """By which trackers know a resumed training again; random."""
        file = self.state / "tracked.json"
        if not file.exists():
            write_json(file, uuid.uuid4().hex[:8], checksum=False)
        return str(read_json(file))


@contextmanager
def reporting(run: Reported) -> Iterator[list[TrainerCallback]]:
    """Trainer callbacks that report to each tracker; leaving the block ends its run.

    Raises InputError as `refuse_missing` does.
    """
    trackers = run.tracking.report_to
    refuse_missing(trackers)
    with ExitStack() as opened:
        yield [opened.enter_context(_STARTED[tracker](run)) for tracker in trackers]


@contextmanager
def _tensorboard(run: Reported) -> Iterator[Any]:
    """Appends to the events of the saved steps and purges later ones."""
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    folder = run.run / "tensorboard"
    if run.step is None:
        shutil.rmtree(folder, ignore_errors=True)
    purged = None if run.step is None else run.step + 1
    with writing(folder), SummaryWriter(str(folder), purge_step=purged) as writer:
        yield TensorBoardCallback(writer)


@contextmanager
def _wandb(run: Reported) -> Iterator[Any]:
    from transformers.integrations import WandbCallback

    wandb = import_module("wandb")
    # it would copy the job's log, its command line and the user's names
    settings = wandb.Settings(console="off", silent=True, x_disable_meta=True, disable_git=True)
    begun = wandb.init(
        project=run.experiment,
        name=run.name,
        id=run.id,
        resume="allow",
        mode=os.environ.get("WANDB_MODE", "offline"),
        dir=str(run.folder),
        settings=settings,
    )
    # not `with begun`, which prints the stack of every error
    status = 1
    try:
        yield WandbCallback()
        status = 0
    finally:
        begun.finish(exit_code=status)


@contextmanager
def _mlflow(run: Reported) -> Iterator[Any]:
    from transformers.integrations import MLflowCallback

    mlflow = import_module("mlflow")
    local = f"sqlite:///{run.folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI", local))
    # one of several jobs makes the tables and the experiment
    with FileLock(run.folder / ".mlflow.lock"):
        mlflow.set_experiment(run.experiment)

    # MLflow makes ids itself
    earlier = mlflow.search_runs(filter_string=f"tags.{_ID} = '{run.id}'", output_format="list")
    # the others are in place of the user's name and the path of the program
    tags = {_ID: run.id, "mlflow.user": "", "mlflow.source.name": "few-shot-distillation"}
    with mlflow.start_run(
        run_id=earlier[0].info.run_id if earlier else None, run_name=run.name, tags=tags
    ):
        yield MLflowCallback()


@contextmanager
def _trackio(run: Reported) -> Iterator[Any]:
    os.environ.setdefault("TRACKIO_DIR", str(run.folder / "trackio"))
    from transformers.integrations import TrackioCallback

    class Quiet(TrackioCallback):
        """Does not print the path of its files."""

        def setup(self, args: TrainingArguments, *others: Any, **named: Any) -> None:
            # it continues the run of this name
            name = f"{run.name}-{run.id}"
            args.project, args.run_name = run.experiment, name
            with redirect_stdout(StringIO()):
                super().setup(args, *others, **named)

    yield Quiet()


_STARTED: dict[Tracker, Callable[[Reported], AbstractContextManager[Any]]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
    "trackio": _trackio,
}

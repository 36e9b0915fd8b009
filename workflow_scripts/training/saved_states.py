"""Saved trainer states, from which a killed run resumes or a finished one is extended.

They lie beside the run's outputs in a folder that the rule does not declare, because Snakemake
deletes declared outputs before a job starts. The folder belongs to one fingerprint, which covers
what the steps compute but not which checkpoints are kept.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.config.slices import RunSlice
from workflow_scripts.runtime.checksums import checked, checksum_file, damage_of, sha256_of
from workflow_scripts.runtime.cost import Cost
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import (
    atomic_directory,
    read_json,
    remove_directory,
    remove_partials,
    write_checksums,
    write_json,
)
from workflow_scripts.runtime.home import without_home
from workflow_scripts.runtime.resume import discard_states, open_state

# with these schedulers, a longer run begins with the steps of a shorter one
_ENDLESS = ("constant", "constant_with_warmup")
# the older one is needed when a checkpoint before the newer one is added
_STATES = 2
# of all steps up to a state
_COST = "cost.json"
# of a state that another job continues from: its folder, and a pickled file that nothing reads
_HANDED_OVER = "state"
_UNREAD = shutil.ignore_patterns("training_args.bin")


def identity_of(settings: RunSlice, processes: int) -> str:
    """The settings that a run's steps depend on, as JSON.

    processes: their number, since each draws its own random numbers.
    """
    free = {"checkpoints", "resume_every", "keep_state"}
    content = settings.model_dump(mode="json", exclude={"training": free})
    if settings.training.scheduler in _ENDLESS:
        del content["training"]["steps"], content["phases"][-1]["steps"]
    return json.dumps(content | {"processes": processes})


@dataclass(frozen=True)
class ResumeState:
    """A run's saved states, each with the cost so far, and its kept checkpoints."""

    folder: Path

    @classmethod
    def open(cls, parent: Path, fingerprint: str) -> ResumeState:
        """The folder of this fingerprint; states of other fingerprints are not read."""
        return cls(open_state(parent, fingerprint))

    @property
    def trainer_folder(self) -> Path:
        return self.folder / "trainer"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def keep_resumable(self, last: int, checkpoints: Sequence[int]) -> None:
        """Removes incomplete and damaged states, and those from which the run cannot resume.

        A run cannot resume from a state after its last step, or after one of the checkpoints that
        it needs but did not keep. Prints which whole states are removed and why.
        """
        remove_partials(self.checkpoints)
        remove_partials(self.trainer_folder)
        for kept in self.checkpoints.glob("step-*"):
            if damage := damage_of(kept):
                print(without_home(f"{kept}: not used, {damage}"), flush=True)
                remove_directory(kept)
        whole = self._whole()
        for folder in self.trainer_folder.glob("checkpoint-*"):
            if folder not in whole:
                remove_directory(folder)
        for state in whole:
            if reason := damage_of(state) or self._refusal(state, last, checkpoints):
                print(without_home(f"{state}: not resumed, {reason}"), flush=True)
                remove_directory(state)

    def last_saved(self) -> Path | None:
        """The newest complete state."""
        return max(self._whole(), key=step_of, default=None)

    def mark_whole(self, step: int, cost: Cost) -> None:
        """Marks the state of this step as complete; removes all but the last two."""
        state = self.trainer_folder / f"checkpoint-{step}"
        write_json(state / _COST, asdict(cost), checksum=False)
        write_checksums(state)
        for state in sorted(self._whole(), key=step_of)[:-_STATES]:
            remove_directory(state)

    def hand_over(self, step: int, processes: int, folder: Path) -> dict[str, Any]:
        """Copies the state of a step to `<folder>/state`. Returns what `take_over` reads of it."""
        copy = folder / _HANDED_OVER
        shutil.copytree(self.trainer_folder / f"checkpoint-{step}", copy, ignore=_UNREAD)
        files = sorted(path for path in copy.rglob("*") if path.is_file())
        return {
            "step": step,
            "processes": processes,
            "files": {str(path.relative_to(folder)): sha256_of(path) for path in files},
        }

    def take_over(self, manifest: Path, checkpoints: Sequence[int], processes: int) -> None:
        """Begins from the state that another job handed over, and the checkpoints that it kept.

        manifest: of its checkpoints.
        Raises InputError when it holds no state, a file is missing or damaged, or another number
        of processes trained it.
        """
        content = read_json(checked(manifest))
        handed = content.get("state")
        if handed is None:
            raise InputError(f"{manifest}: holds no state to continue from; delete it and rerun")
        if handed["processes"] != processes:
            raise InputError(
                f"{manifest}: trained by {handed['processes']} processes, but this job has "
                f"{processes}; give it as many GPUs, or delete {manifest} to train again"
            )
        for name, checksum in (content["files"] | handed["files"]).items():
            path = manifest.parent / name
            if not path.exists() or sha256_of(path) != checksum:
                raise InputError(f"{path}: missing or damaged; delete {manifest} to train again")
        for step in set(checkpoints) & set(content["steps"]):
            _copy(manifest.parent / f"step-{step}", self.checkpoints / f"step-{step}")
        # last, because a state without its checkpoints would not be resumed
        state = self.trainer_folder / f"checkpoint-{handed['step']}"
        _copy(manifest.parent / _HANDED_OVER, state)

    def cost_so_far(self) -> Cost:
        saved = self.last_saved()
        return Cost(**read_json(saved / _COST)) if saved else Cost()

    def finish(self, keep: bool) -> None:
        """Removes all states, including other fingerprints'; `keep` spares this one's."""
        discard_states(self.folder.parent, kept=self.folder if keep else None)

    def _refusal(self, state: Path, last: int, checkpoints: Sequence[int]) -> str | None:
        step = step_of(state)
        if step > last:
            return f"the last step is now {last}"
        for wanted in checkpoints:
            if wanted <= step and not (self.checkpoints / f"step-{wanted}").exists():
                return f"checkpoint {wanted} lies before it and was not kept"
        return None

    def _whole(self) -> Sequence[Path]:
        return [
            folder
            for folder in self.trainer_folder.glob("checkpoint-*")
            if checksum_file(folder).exists()
        ]


def _copy(source: Path, folder: Path) -> None:
    with atomic_directory(folder) as partial:
        shutil.copytree(source, partial, dirs_exist_ok=True)


def step_of(state: Path) -> int:
    """The step after which a state was saved."""
    return int(state.name.removeprefix("checkpoint-"))

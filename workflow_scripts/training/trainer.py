"""`transformers.Trainer` with a weighted sum of objectives as its loss."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState

from workflow_scripts.config.slices import RunSlice
from workflow_scripts.config.terms import Term
from workflow_scripts.config.training import Adapter
from workflow_scripts.runtime.errors import Diverged
from workflow_scripts.teachers.targets import KINDS
from workflow_scripts.training.adapters import save_checkpoint
from workflow_scripts.training.batches import DistillationDataset, PhaseSampler
from workflow_scripts.training.heads import Forward
from workflow_scripts.training.learning_rates import parameter_groups
from workflow_scripts.training.objectives import OBJECTIVES
from workflow_scripts.training.phases import ends_of
from workflow_scripts.training.terms import reads_of, target_names, term_name
from workflow_scripts.training.tiles import weighted_sum


class DistillationTrainer(Trainer):
    """Minimises Σ weight · term over the terms of a step's phase, and logs each of them.

    last: step after which training stops, the last one of a phase.
    forward: (student, batch) → the outputs that the terms of the batch's phase read.
    """

    def __init__(
        self, *args: Any, run: RunSlice, last: int, forward: Forward, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._run = run
        self._last = last
        self._forward = forward
        self._values: defaultdict[str, list[Tensor]] = defaultdict(list)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Trainer's optimizer, with a learning rate for each layer if `layer_decay` is set."""
        decay = self._run.training.layer_decay
        if decay is None:
            return super().create_optimizer(model)
        student = self.model if model is None else model
        kind, options = self.get_optimizer_cls_and_kwargs(self.args, student)
        groups = parameter_groups(
            student,
            self.args.learning_rate,
            decay,
            self.args.weight_decay,
            self.get_decay_parameter_names(student),
        )
        self.optimizer: torch.optim.Optimizer = kind(groups, **options)
        return self.optimizer

    def _get_train_sampler(self, train_dataset: Any = None) -> PhaseSampler:
        """One sampler up to the last step; the last batch of Trainer's epochs may be short."""
        dataset: DistillationDataset = self.train_dataset
        begun = [
            ([len(example.rendering.ids) for example in data.examples], phase.steps)
            for phase, data, end in zip(
                self._run.phases, dataset.phases, ends_of(self._run), strict=True
            )
            if end <= self._last
        ]
        lengths, steps = zip(*begun, strict=True)
        training = self._run.training
        is_divided = self.args.per_device_train_batch_size < training.batch_size
        grouped = training.group_by_length if is_divided or training.group_by_length > 1 else None
        return PhaseSampler(lengths, steps, training.batch_size, self._run.seed, grouped)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: int | None = None,
    ) -> Tensor:
        """The loss of a micro-batch.

        Every term is a mean over examples and all micro-batches of a step have the same number of
        examples, so the loss of a step is their mean: Trainer averages the micro-batches of a
        process, and gradients are averaged over processes.
        """
        student = self._forward(model, inputs)
        terms = self._run.phases[inputs["phase"]].terms
        losses = [
            OBJECTIVES[term.objective].loss(
                term, student, *teachers_targets(self._run, term, inputs["targets"])
            )
            for term in terms
        ]
        loss, values = weighted_sum(student, losses, [term.weight for term in terms])
        for term, value in zip(terms, values, strict=True):
            self._values[term_name(term)].append(value)
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            means = torch.stack([torch.stack(values).mean() for values in self._values.values()])
            means = self.accelerator.reduce(means, reduction="mean")
            logs |= dict(zip(self._values, means.tolist(), strict=True))
            self._refuse_broken_losses(logs)
            self._values.clear()
        super().log(logs, start_time)

    def _refuse_broken_losses(self, logs: Mapping[str, float]) -> None:
        # a term says more than the sum
        for name in (*self._values, "loss", "grad_norm"):
            if not math.isfinite(logs[name]):
                raise Diverged(
                    f"step {self.state.global_step}: {name} is {logs[name]}; lower "
                    "training.learning_rate or the term's weight"
                )


def teachers_targets(
    run: RunSlice, term: Term, targets: Mapping[str, Mapping[str, Tensor]]
) -> list[Any]:
    """The targets of each teacher that a term of the run reads, as its loss takes them.

    targets: name of a target → field → (positions, …), as `Collator` makes them.
    """
    target = reads_of(term).target
    if target is None:
        return []
    kind = KINDS[target.kind]
    return [kind.batched(target, targets[name]) for name in target_names(run, term)]


class KeepCheckpoints(TrainerCallback):
    """Saves a checkpoint after each listed step, whole or not at all."""

    def __init__(
        self, steps: Sequence[int], folder: Path, adapter: Adapter, dtype: torch.dtype
    ) -> None:
        self._steps = steps
        self._folder = folder
        self._adapter = adapter
        self._dtype = dtype

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step in self._steps:
            folder = self._folder / f"step-{state.global_step}"
            save_checkpoint(self._adapter, kwargs["model"], folder, self._dtype)

"""The student's forward passes, which keep logits and states only where a term reads them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from workflow_scripts.config.base import Position, Site
from workflow_scripts.config.terms import Term
from workflow_scripts.modeling.hidden_states import Capture
from workflow_scripts.modeling.teacher_forcing import head_positions
from workflow_scripts.training.objectives.outputs import StudentOutputs
from workflow_scripts.training.terms import reads_of


@dataclass(frozen=True)
class ForwardPlan:
    """What the terms of a condition read: positions of logits, and sites of states by position."""

    logits: tuple[Position, ...]
    states: dict[Position, tuple[Site, ...]]

    @classmethod
    def of(cls, terms: Sequence[Term]) -> ForwardPlan:
        logits: list[Position] = []
        states: dict[Position, tuple[Site, ...]] = {}
        for reads in map(reads_of, terms):
            if reads.logits is not None:
                logits.append(reads.logits)
            if reads.states is not None:
                position = reads.states.position
                sites = (*states.get(position, ()), reads.states.site)
                states[position] = tuple(dict.fromkeys(sites))
        return cls(tuple(dict.fromkeys(logits)), states)

    @property
    def positions(self) -> tuple[Position, ...]:
        return tuple(dict.fromkeys([*self.logits, *self.states]))

    @property
    def sites(self) -> tuple[Site, ...]:
        return tuple(dict.fromkeys(site for sites in self.states.values() for site in sites))


def student_outputs(model: Any, batch: dict[str, Any], plan: ForwardPlan) -> StudentOutputs:
    """Runs the model once over the batch and keeps what the plan names.

    The head runs on the kept positions only: no (batch, length, vocabulary) tensor exists.
    """
    rows, columns = batch["rows"], batch["columns"]
    with ExitStack() as stack:
        stack.enter_context(
            head_positions(model, _joined(rows, plan.logits), _joined(columns, plan.logits))
        )
        captures = {
            position: stack.enter_context(
                Capture(model, sites, rows=rows[position], columns=columns[position])
            )
            for position, sites in plan.states.items()
        }
        # without a padding mask, as `teacher_forcing.Batch.inputs` says
        logits = model(input_ids=batch["input_ids"], use_cache=False).logits
    counts = [len(rows[position]) for position in plan.logits]
    kept = dict(zip(plan.logits, logits.split(counts), strict=True))
    tokens = batch["label_tokens"]
    return StudentOutputs(
        examples=rows,
        logits=kept,
        states={
            (site, position): capture.states(site)
            for position, capture in captures.items()
            for site in plan.states[position]
        },
        answers=batch["answers"],
        boundaries=batch["boundaries"],
        label_logits=(
            kept["prompt"].gather(-1, tokens) if tokens.numel() else logits.new_empty(tokens.shape)
        ),
        gold=batch["gold"],
        batch_size=len(batch["input_ids"]),
        zero=logits.new_zeros(()) if plan.logits else logits.sum(),
    )


def classifier_outputs(model: Any, batch: dict[str, Any]) -> StudentOutputs:
    """Runs a classifier, whose head scores the labels, once over a batch of prompts."""
    logits = model(input_ids=batch["input_ids"], use_cache=False).logits
    return StudentOutputs(
        examples={},
        logits={},
        states={},
        answers=torch.empty(0, dtype=torch.long),
        boundaries=torch.empty(0, dtype=torch.long),
        label_logits=logits,
        gold=batch["gold"],
        batch_size=len(logits),
        zero=logits.new_zeros(()),
    )


def _joined(indices: dict[Position, Tensor], positions: Sequence[Position]) -> Tensor:
    if not positions:
        return torch.empty(0, dtype=torch.long)
    return torch.cat([indices[position] for position in positions])

"""The student's forward passes, which keep logits and states only where a term reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from workflow_scripts.config.base import Position, Site
from workflow_scripts.config.terms import Layers, Term
from workflow_scripts.modeling.architectures import decoder_layers
from workflow_scripts.modeling.hidden_states import Capture
from workflow_scripts.modeling.language_head import AfterHead, HeadInputs, is_sharded
from workflow_scripts.modeling.teacher_forcing import head_positions
from workflow_scripts.training.layers import resolve_layers
from workflow_scripts.training.logit_rows import LogitRows
from workflow_scripts.training.objectives.outputs import StudentOutputs
from workflow_scripts.training.terms import reads_of


@dataclass(frozen=True)
class ForwardPlan:
    """What the terms of a condition read.

    logits: positions. states: position → site → layers of each term.
    labels: whether logits of labels are read.
    """

    logits: tuple[Position, ...]
    states: dict[Position, dict[Site, list[Layers]]]
    labels: bool

    @classmethod
    def of(cls, terms: Sequence[Term]) -> ForwardPlan:
        logits: list[Position] = []
        states: dict[Position, dict[Site, list[Layers]]] = {}
        all_reads = [reads_of(term) for term in terms]
        for reads in all_reads:
            if reads.logits is not None:
                logits.append(reads.logits)
            if reads.states is not None:
                sites = states.setdefault(reads.states.position, {})
                sites.setdefault(reads.states.site, []).append(reads.states.layers)
        return cls(tuple(dict.fromkeys(logits)), states, any(reads.labels for reads in all_reads))

    @property
    def positions(self) -> tuple[Position, ...]:
        return tuple(dict.fromkeys([*self.logits, *self.states]))

    @property
    def sites(self) -> tuple[Site, ...]:
        return tuple(dict.fromkeys(site for sites in self.states.values() for site in sites))


def student_outputs(
    model: Any, batch: dict[str, Any], plan: ForwardPlan, after_head: AfterHead | None = None
) -> StudentOutputs:
    """Runs the model once over the batch and keeps what the plan names.

    The head runs on the kept positions only: no (batch, length, vocabulary) tensor exists. With
    `after_head` it runs after the model, a tile of positions at a time, except where labels are
    read: they take one position of each example. A head that is sharded over devices runs within
    the model.
    """
    rows, columns = batch["rows"], batch["columns"]
    is_apart = after_head is not None and not is_sharded(model)
    inside = [kind for kind in plan.logits if not is_apart or (plan.labels and kind == "prompt")]
    after = [kind for kind in plan.logits if kind not in inside]
    with ExitStack() as stack:
        read = stack.enter_context(HeadInputs(model, _joined(rows, after), _joined(columns, after)))
        stack.enter_context(head_positions(model, _joined(rows, inside), _joined(columns, inside)))
        captures = {
            position: stack.enter_context(
                Capture(model, tuple(sites), rows[position], columns[position], _read(sites, model))
            )
            for position, sites in plan.states.items()
        }
        # without a padding mask, as `teacher_forcing.Batch.inputs` says
        logits = model(input_ids=batch["input_ids"], use_cache=False).logits
    kept = dict(zip(inside, logits.split([len(rows[kind]) for kind in inside]), strict=True))
    hidden = dict(zip(after, read.hidden.split([len(rows[kind]) for kind in after]), strict=True))
    head = read.head(after_head or ())
    tokens = batch["label_tokens"]
    return StudentOutputs(
        examples=rows,
        logits={
            **{kind: LogitRows.of(own) for kind, own in kept.items()},
            **{kind: LogitRows(own, head, logits.shape[-1]) for kind, own in hidden.items()},
        },
        states={
            (site, position): capture.by_layer(site)
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


def _read(sites: Mapping[Site, Sequence[Layers]], model: Any) -> dict[Site, set[int]]:
    """The layers of the model that some term reads of each site."""
    depth = len(decoder_layers(model))
    return {
        site: {layer for layers in every for layer in resolve_layers(layers, depth)}
        for site, every in sites.items()
    }


def _joined(indices: dict[Position, Tensor], positions: Sequence[Position]) -> Tensor:
    if not positions:
        return torch.empty(0, dtype=torch.long)
    return torch.cat([indices[position] for position in positions])

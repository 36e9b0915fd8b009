"""The check of a GPU installation runs on a CPU with tiny models."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from benchmarks import gpu_check
from benchmarks.gpu_check import BATCH, COLUMNS, PARTS, QUICK, Check, operations, run, share_of_peak


def rows(printed: str) -> list[list[str]]:
    lines = [line for line in printed.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines][1:]


def test_every_part_runs_with_tiny_models(tmp_path, capsys):
    assert run(list(PARTS), QUICK, tmp_path) == 0
    printed = capsys.readouterr().out
    assert "no part failed" in printed
    assert {row[0] for row in rows(printed)} == set(PARTS)
    assert all(len(row) == len(COLUMNS) for row in rows(printed))
    measured = [row for row in rows(printed) if row[0] == "steps"]
    assert len(measured) == 6
    assert all(float(row[3]) > 0 for row in measured)
    if not torch.cuda.is_available():
        assert "a CPU: speeds say nothing about a GPU" in printed


def test_a_part_that_fails_is_named_and_the_others_go_on(tmp_path, capsys, monkeypatch):
    def broken(check):
        yield "tiny", "a step", lambda: {"seconds": str(1 / 0)}

    monkeypatch.setitem(gpu_check.PARTS, "steps", broken)
    assert run(["steps", "parity"], QUICK, tmp_path) == 1
    printed = capsys.readouterr().out
    assert rows(printed)[0][-1] == "FAILED: division by zero"
    assert "relative error" in rows(printed)[-1][-1]
    assert printed.rstrip().endswith("failed:\nsteps: tiny a step")


def test_the_operations_of_a_step_are_those_that_torch_counts(tmp_path):
    """torch also counts the half of attention that is not causal: 7 % of so small a model."""
    config = QUICK.models["tiny"]
    counted = operations(Check(QUICK, tmp_path), "tiny")
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").requires_grad_(
        False
    )
    states = torch.randn(BATCH, QUICK.tokens, config.hidden_size, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        logits = model(inputs_embeds=states, logits_to_keep=QUICK.answer).logits
        logits.sum().backward()
    assert counted == pytest.approx(counter.get_total_flops(), rel=0.08)


def test_a_gpu_without_a_known_peak_has_no_share(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    names = {"NVIDIA H100 80GB HBM3": "50 %", "NVIDIA GeForce GTX 1080": ""}
    for name, share in names.items():
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda name=name: name)
        assert share_of_peak(989e12 / 2) == share

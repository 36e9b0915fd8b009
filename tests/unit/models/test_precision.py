"""Which precision `dtype: auto` becomes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from workflow_scripts.config.models import ModelSource
from workflow_scripts.models import precision
from workflow_scripts.models.precision import cpu_multiplies_bfloat16, settled
from workflow_scripts.models.sources import fetch

ROOT = Path(__file__).parents[3]
AUTO = ModelSource(source="somewhere")
HAS_UNITS = any(torch.cpu.get_capabilities().get(unit) for unit in ("avx512_bf16", "amx_bf16"))


def cpu(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(precision, "cpu_multiplies_bfloat16", lambda: native)


@pytest.mark.parametrize(
    ("native", "dtype", "line"),
    [
        (True, "bfloat16", "dtype: bfloat16 (auto: this CPU multiplies bfloat16)\n"),
        (False, "float32", "dtype: float32 (auto: this CPU multiplies no bfloat16)\n"),
    ],
)
def test_auto_is_what_the_cpu_is_quick_in_and_the_log_says_so(
    native: bool,
    dtype: str,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cpu(monkeypatch, native)
    assert settled(AUTO) == AUTO.model_copy(update={"dtype": dtype})
    assert capsys.readouterr().out == line


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("native", [True, False])
def test_a_dtype_that_is_given_stays(
    dtype: str, native: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cpu(monkeypatch, native)
    given = ModelSource(source="somewhere", dtype=dtype)
    assert settled(given) == given
    assert capsys.readouterr().out == f"dtype: {dtype}\n"


@pytest.mark.parametrize(("native", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_the_manifest_says_what_auto_became(
    native: bool, dtype: str, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu(monkeypatch, native)
    fetch(ModelSource(source=str(model_folder)), tmp_path / "tiny")
    assert json.loads((tmp_path / "tiny/manifest.json").read_text())["dtype"] == dtype


def answer_under(isa: str) -> bool:
    """The answer in a process whose oneDNN may use no more than this instruction set."""
    code = f"import {precision.__name__} as p; print(p.cpu_multiplies_bfloat16())"
    command = [sys.executable, "-c", code]
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": isa}
    told = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return {"True": True, "False": False}[told.stdout.strip()]


def test_a_cpu_with_avx2_only_multiplies_no_bfloat16() -> None:
    assert not answer_under("AVX2")


def test_avx_512_without_bfloat16_units_multiplies_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN takes bfloat16 there and emulates it, at a third of float32's speed."""
    plain = {"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: plain)
    assert not cpu_multiplies_bfloat16()


@pytest.mark.skipif(not HAS_UNITS, reason="this CPU has no bfloat16 units")
def test_a_cpu_with_bfloat16_units_multiplies_it() -> None:
    assert answer_under("ALL")

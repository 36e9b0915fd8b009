"""Logs that lm-evaluation-harness and Inspect wrote; see foreign/logs/README.md."""

from __future__ import annotations

from pathlib import Path

import pytest

LOGS = Path(__file__).parent / "foreign" / "logs"


def samples(run: str, task: str = "sums") -> Path:
    (path,) = (LOGS / "lm-eval" / run).glob(f"samples_{task}_*.jsonl")
    return path


@pytest.fixture
def float32() -> Path:
    return samples("float32")


@pytest.fixture
def bfloat16() -> Path:
    return samples("bfloat16")


@pytest.fixture
def zero_shot() -> Path:
    return samples("zero-shot")


@pytest.fixture
def colours() -> Path:
    return samples("float32", "colours")


@pytest.fixture
def old_colours() -> Path:
    return LOGS / "lm-eval" / "0.4.2" / "_colours.jsonl"


@pytest.fixture
def perplexities() -> Path:
    return samples("float32", "text")


@pytest.fixture
def seven_wrong() -> Path:
    return LOGS / "inspect" / "seven-wrong.eval"


@pytest.fixture
def one_wrong() -> Path:
    return LOGS / "inspect" / "one-wrong.json"


@pytest.fixture
def three_epochs() -> Path:
    return LOGS / "inspect" / "three-epochs.eval"


@pytest.fixture
def two_scorers() -> Path:
    return LOGS / "inspect" / "two-scorers.eval"

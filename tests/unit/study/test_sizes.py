"""The disk that targets need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workflow_scripts.study.load import load_study
from workflow_scripts.study.sizes import bytes_at_most

ROOT = Path(__file__).parents[3]


def test_an_open_dtype_takes_as_much_disk_as_the_largest_it_can_become(config):
    def states(**settings: Any) -> int | None:
        config["models"]["smollm2-135m"] = config["models"]["smollm2-135m"] | settings
        study = load_study(config)
        targets = study.supervision.targets_of("smollm2-135m", "plural")
        (hidden,) = (target for target in targets if target.name == "hidden-block-query")
        return bytes_at_most(study.resources, hidden)

    left_open = states(width=576)
    assert left_open == states(dtype="float32") == 2 * states(dtype="bfloat16")
    assert states(dtype="auto", resources={"icl_gap": {"gpu": 1}}) == states(dtype="bfloat16")


def test_the_labels_of_an_item_take_four_bytes_each(nli):
    nli["models"]["larger"] |= {"layers": 24, "width": 2048}
    study = load_study(nli)
    (labels,) = study.supervision.targets_of("larger", "plural")
    assert bytes_at_most(study.resources, labels) == 160 * 2 * 4

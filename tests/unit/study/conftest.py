"""Configs that tests of studies change, and how one is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.study.load import load_study

ROOT = Path(__file__).parents[3]


@pytest.fixture
def config() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


def refusal(config: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        load_study(config)
    return str(caught.value)


@pytest.fixture
def foreign(config: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The default with a result that was made elsewhere, the first of `results_from`."""
    file = tmp_path / "theirs.csv"
    file.touch()
    entry = {"name": "theirs", "model": "smollm2-135m", "task": "plural", "file": str(file)}
    config["results_from"] = [entry]
    return config


@pytest.fixture
def alone(foreign: dict[str, Any]) -> dict[str, Any]:
    """Two results that were made elsewhere of a model that does not run here."""
    foreign["models"] = {"smollm2-135m": {"source": "elsewhere"}}
    for key in ("shots", "conditions", "training", "teachers"):
        del foreign[key]
    foreign["results_from"].append(foreign["results_from"][0] | {"name": "others"})
    return foreign


@pytest.fixture
def nli(config: dict[str, Any]) -> dict[str, Any]:
    """The default with a task of two labels, which a larger model teaches."""
    model, task = config["models"]["smollm2-135m"], config["tasks"]["plural"]
    config["models"] = {"student": model, "larger": copy.deepcopy(model)}
    config["students"] = ["student"]
    task["data"] |= {"pattern": "minimal", "verbalizers": {"0": "Yes", "1": "No"}}
    config["teachers"] = {"larger": {"model": "larger", "shots": 8}, "self": {"shots": 8}}
    config["conditions"] = {
        "pbft": {"terms": [{"objective": "label_cross_entropy"}]},
        "distil": {
            "teacher": "larger",
            "terms": [
                {"objective": "label_cross_entropy"},
                {"objective": "label_kl", "weight": 2.0},
            ],
        },
    }
    return config


@pytest.fixture
def mixed(config: dict[str, Any]) -> dict[str, Any]:
    """A mixture of two tasks, evaluated on one of them and on a third."""
    plural = config["tasks"]["plural"]
    config["tasks"] |= {name: copy.deepcopy(plural) for name in ("second", "other")}
    config["tasks"]["other"]["data"]["items"]["train"] = 0
    mixture = {"source": "mixture", "mixture": {"plural": 1, "second": 1}}
    config["tasks"]["both"] = copy.deepcopy(plural) | {
        "data": mixture | {"items": plural["data"]["items"]},
        "scoring": {"scorer": "components"},
    }
    config["transfer"] = {"both": ["other", "second"]}
    config["evaluation"] = {"transfer_shots": [0, 8]}
    return config


@pytest.fixture
def transferred(nli: dict[str, Any]) -> dict[str, Any]:
    """The same with a second task of the same labels in another order."""
    other = copy.deepcopy(nli["tasks"]["plural"])
    other["data"]["items"]["train"] = 0
    other["data"]["verbalizers"] = {"1": "No", "0": "Yes"}
    nli["tasks"]["other"] = other
    nli["transfer"] = {"plural": ["other"]}
    return nli

"""A study file of the first vocabulary is answered with the new names, all in one go."""

from __future__ import annotations

import pytest

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.study.load import load_study
from workflow_scripts.study.renamed_keys import renamed


def test_every_old_name_is_answered_at_once(config):
    config["families"] = {"main": {"question": "?", "figures": ["standings", "drift"]}}
    config["max_signal_gb"] = 10
    config["teacher_pass"] = {"part_size": 8}
    config["tasks"]["plural"]["scoring"]["scorer"] = "parts"
    with pytest.raises(InputError) as refused:
        load_study(config)
    assert str(refused.value).splitlines() == [
        "families: is now `comparisons`; rename the key",
        "max_signal_gb: is now `max_target_gb`; rename the key",
        "teacher_pass.part_size: is now `shard_size`; rename the key",
        "families.main.figures: `standings` is now `forest_plot`",
        "tasks.plural.scoring.scorer: `parts` is now `components`",
    ]


def test_an_old_value_is_found_under_the_new_key(config):
    config["comparisons"] = {"main": {"figures": ["standings"]}}
    assert renamed(config) == ["comparisons.main.figures: `standings` is now `forest_plot`"]


@pytest.mark.parametrize("section", [None, [], "text", {"main": None}])
def test_what_the_schema_refuses_is_left_to_it(config, section):
    config["comparisons"] = section
    assert renamed(config) == []


def test_todays_names_pass(config):
    assert renamed(config) == []

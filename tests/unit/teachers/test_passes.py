"""The record of a pass, from which the plan knows where targets lie."""

from __future__ import annotations

import pytest

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.teachers.passes import record_pass, recorded_passes


def test_every_pass_says_which_targets_it_holds(tmp_path):
    record_pass(tmp_path / "pass-0", ["labels", "hidden-block-query"])
    record_pass(tmp_path / "pass-11", ["logits-answer-top7-t2"])
    assert recorded_passes(tmp_path) == {
        0: {"labels", "hidden-block-query"},
        11: {"logits-answer-top7-t2"},
    }


def test_a_teacher_that_read_nothing_has_no_passes(tmp_path):
    assert recorded_passes(tmp_path / "few-shot") == {}


@pytest.mark.parametrize("content", ["", "[", "{}", '["labels", 1]'])
def test_a_damaged_record_is_refused(tmp_path, content):
    record_pass(tmp_path / "pass-0", ["labels"])
    (tmp_path / "pass-0/targets.json").write_text(content)
    with pytest.raises(InputError, match=r"pass-0/targets\.json: not the record of a teacher's"):
        recorded_passes(tmp_path)

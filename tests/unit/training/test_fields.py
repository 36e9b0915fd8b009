"""Fields of conditions with phases and generated answers; others are tested by sweeps."""

from __future__ import annotations

import pytest

from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.training import LoraSettings
from workflow_scripts.training.fields import field_of_condition, varied, with_fields

HIDDEN = {"objective": "hidden", "weight": 0.5, "site": "block", "layers": "all"} | {
    "position": "query",
    "normalize": True,
    "reduction": "sum",
}
CROSS_ENTROPY = {"objective": "cross_entropy"}
IN_PHASES = {
    "teacher": "few-shot",
    "phases": [
        {"terms": [CROSS_ENTROPY, HIDDEN], "steps": 20},
        {"terms": [CROSS_ENTROPY], "answers": "teacher"},
    ],
}


def changed(field: str, value: object, condition=IN_PHASES):
    return varied("conditions", condition, field, value, {})


def refusal(field: str, condition=IN_PHASES) -> str:
    with pytest.raises(KeyError) as caught:
        field_of_condition(condition, field)
    return caught.value.args[0]


@pytest.mark.parametrize("field", ["phases.0.hidden.weight", "phases.0.weight", "hidden.weight"])
def test_a_term_of_a_phase_is_named_with_or_without_its_number(field):
    assert field_of_condition(IN_PHASES, field) == 0.5
    written = changed(field, 2)
    assert written["phases"][0]["terms"][1]["weight"] == 2
    assert written["phases"][1] == IN_PHASES["phases"][1]


def test_a_term_that_several_phases_have_needs_its_number():
    message = "several terms have 'weight'; give one of phases.0.cross_entropy.weight, "
    assert refusal("cross_entropy.weight") == message + "phases.1.cross_entropy.weight"
    written = changed("phases.1.cross_entropy.weight", 2)
    assert written["phases"][1]["terms"][0]["weight"] == 2


def test_other_fields_of_a_phase_are_fields():
    assert changed("phases.0.steps", 5)["phases"][0]["steps"] == 5
    assert changed("phases.1.answers.samples", 4)["phases"][1]["answers"] == {
        "by": "teacher",
        "samples": 4,
    }
    assert changed("learning_rate", 0.5)["learning_rate"] == 0.5


def test_a_phase_that_does_not_exist_is_refused():
    assert refusal("phases.2.steps") == (
        "no field named 'phases.2.steps'; did you mean 'phases.1.steps'?"
    )
    assert refusal("phases.0.alpha").startswith("no field named 'phases.0.alpha'; valid here: ")


def test_answers_have_fields_however_they_are_written():
    condition = {"terms": [HIDDEN], "answers": {"by": "student", "rounds": 2}}
    assert changed("answers.rounds", 4, condition)["answers"] == {"by": "student", "rounds": 4}
    condition = {"terms": [CROSS_ENTROPY], "answers": "teacher"}
    assert changed("answers.keep.surest", 0.5, condition)["answers"] == {
        "by": "teacher",
        "keep": {"surest": 0.5},
    }
    assert changed("answers", "gold", condition)["answers"] == "gold"


def test_a_condition_with_some_fields_replaced_is_one_again():
    """Its defaults are written out in between."""
    condition = ConditionSettings.model_validate(IN_PHASES)
    assert with_fields(condition, {}, LoraSettings()) == condition
    replaced = with_fields(condition, {"phases.0.steps": 5, "adapter.rank": 2}, LoraSettings())
    assert replaced.phases[0].steps == 5
    assert replaced.adapter is not None
    assert ConditionSettings.model_validate_json(replaced.model_dump_json()) == replaced

"""From a condition to the phases of its runs."""

from __future__ import annotations

import pytest

from tests.unit.training.conftest import PROMPT
from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.slices import ContextSettings, PhaseData, RunSlice
from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.training.recipes import phase_steps, run_of

CROSS_ENTROPY = {"objective": "cross_entropy", "weight": 2}
KL = {"objective": "logit_kl", "weight": 1, "position": "answer", "temperature": 1} | {
    "top_k": 8,
    "reduction": "mean",
}
LABELS = {"objective": "label_kl", "weight": 1}
ITEMS = PhaseData(items=160, demonstrations=None, reads=())
SHOWN = ContextSettings(shots=8, answers="correct", seed=0)


def condition(*phases: dict[str, object], **settings: object) -> ConditionSettings:
    recipe = dict(phases[0]) if len(phases) == 1 else {"phases": phases}
    return ConditionSettings.model_validate({"teacher": "few-shot"} | recipe | settings)


def run(recipe: ConditionSettings, *phases: PhaseData, **training: object) -> RunSlice:
    given = {"steps": 40, "checkpoints": [40], "batch_size": 8} | training
    return run_of(
        recipe,
        TrainingSettings.model_validate(given),
        prompt=PROMPT,
        labels=("yes", "no"),
        phases=phases,
        seed=0,
    )


def test_the_last_phase_has_the_steps_that_are_left():
    recipe = condition({"terms": [KL], "steps": 10}, {"terms": [CROSS_ENTROPY]})
    assert [phase.steps for phase in run(recipe, ITEMS, ITEMS).phases] == [10, 30]


def test_a_student_that_answers_has_a_phase_for_each_round():
    answers = {"by": "student", "rounds": 4}
    recipe = condition({"terms": [KL], "answers": answers})
    trained = run(recipe, *[ITEMS] * 4)
    assert [(p.steps, p.author, p.train_items) for p in trained.phases] == [
        (10, "student", 160)
    ] * 4
    assert trained.training.steps == 40


@pytest.mark.parametrize(
    ("steps", "total", "message"),
    [
        ([10, 20], 40, "have 30 steps together, but training has 40; remove `steps` of the last"),
        ([10, 40], 40, "have 50 steps together, but training has 40; remove"),
        ([40, None], 40, "have 40 steps before the last one, which leaves none of the 40 of train"),
        ([50, None], 40, "have 50 steps before the last one, which leaves none of the 40 of train"),
    ],
)
def test_steps_that_do_not_add_up_are_refused(steps, total, message):
    recipe = condition(*[{"terms": [KL], "steps": own} for own in steps])
    with pytest.raises(ValueError, match=message):
        phase_steps(recipe, total)


def test_steps_that_rounds_cannot_share_are_refused():
    recipe = condition({"terms": [KL], "answers": {"by": "student", "rounds": 3}})
    with pytest.raises(ValueError, match="40 steps cannot be divided into 3 equal rounds"):
        phase_steps(recipe, 40)


def test_alpha_weights_the_terms_of_every_phase():
    recipe = condition({"terms": [KL], "steps": 10}, {"terms": [CROSS_ENTROPY, KL]}, alpha=0.25)
    weights = [[term.weight for term in phase.terms] for phase in run(recipe, ITEMS, ITEMS).phases]
    assert weights == [[0.25], [1.5, 0.25]]


def test_labels_are_kept_where_some_phase_reads_them():
    plain = condition({"terms": [KL], "steps": 10}, {"terms": [CROSS_ENTROPY]})
    reading = condition({"terms": [KL], "steps": 10}, {"terms": [LABELS]})
    assert run(plain, ITEMS, ITEMS).labels is None
    assert run(reading, ITEMS, ITEMS).labels == ("yes", "no")


def test_each_phase_has_its_own_examples():
    demonstrations = PhaseData(items=8, demonstrations=SHOWN, reads=())
    several = PhaseData(items=640, demonstrations=None, reads=())
    sampled = {"by": "teacher", "samples": 4, "temperature": 1}
    recipe = condition(
        {"terms": [CROSS_ENTROPY], "train_on": "demonstrations", "steps": 10},
        {"terms": [CROSS_ENTROPY], "answers": sampled, "train_items": 16},
    )
    first, second = run(recipe, demonstrations, several).phases
    assert (first.train_items, first.demonstrations, first.author) == (8, SHOWN, "gold")
    assert (second.train_items, second.demonstrations, second.author) == (64, None, "teacher")


def test_epochs_are_passes_over_the_sampled_answers():
    sampled = {"by": "teacher", "samples": 4, "temperature": 1}
    recipe = condition({"terms": [CROSS_ENTROPY], "answers": sampled})
    several = PhaseData(items=640, demonstrations=None, reads=())
    trained = run(recipe, several, steps=None, epochs=2, checkpoints=[1, 2])
    assert (trained.phases[0].steps, trained.training.checkpoints) == (160, (80, 160))


def test_epochs_are_refused_with_phases():
    """The first set of items would say how long both train."""
    recipe = condition({"terms": [KL], "steps": 10}, {"terms": [CROSS_ENTROPY]})
    with pytest.raises(ValueError, match=r"need `training\.steps`, not `epochs`"):
        run(recipe, ITEMS, ITEMS, steps=None, epochs=2, checkpoints=[1, 2])

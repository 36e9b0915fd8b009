"""A search over a condition that reads a teacher, on a tiny model."""

from __future__ import annotations

from typing import Any

from tests.unit.training.conftest import PROMPT, TEACHERS
from workflow_scripts.config.analysis import ChooseBy
from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.slices import (
    CompletionSlice,
    ContextSettings,
    EngineSettings,
    PhaseData,
    PredictionSlice,
    SearchSlice,
    TeacherTarget,
)
from workflow_scripts.config.sweeps import SearchSettings
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.training.terms import targets_of

CONDITION = ConditionSettings.model_validate(
    {
        "teacher": "few-shot",
        "terms": [
            {"objective": "cross_entropy"},
            {
                "objective": "hidden",
                "weight": 0.5,
                "site": "block",
                "layers": "all",
                "position": "query",
                "normalize": True,
                "reduction": "sum",
            },
        ],
    }
)
FIELDS: dict[str, Any] = {
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "adapter.rank": {"choices": [2, 4]},
    "alpha": {"low": 0, "high": 1},
}


def search_slice(
    fields: dict[str, Any] = FIELDS,
    trials: int = 3,
    seed: int = 0,
    choose_by: ChooseBy = "accuracy",
) -> SearchSlice:
    return SearchSlice(
        search=SearchSettings.model_validate(
            {"condition": "both", "trials": trials, "seed": seed, "fields": fields}
        ),
        condition=CONDITION,
        training=TrainingSettings(
            steps=3, checkpoints=(1, 3), batch_size=2, scheduler="constant", resume_every=1
        ),
        phases=(
            PhaseData(
                items=4,
                demonstrations=None,
                reads=tuple(
                    TeacherTarget(teacher=name, system=None, context=TEACHERS[name], target=target)
                    for name, target in targets_of(CONDITION.terms, CONDITION.teacher)
                ),
            ),
        ),
        completion=CompletionSlice(
            prompt=PROMPT,
            generation=GenerationSettings(max_new_tokens=2),
            labels=None,
            context=ContextSettings(shots=0, answers="correct", seed=0),
            engine=EngineSettings(kind="transformers", batch_size=8, server=None),
        ),
        scoring=PredictionSlice(scorer="word", labels=None, choose_by=choose_by),
    )

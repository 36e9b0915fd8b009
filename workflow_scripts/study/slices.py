"""The slice of each rule: the settings that its result depends on, and no others.

A slice is JSON in the rule's `params`, so Snakemake reruns the rule when one of them changes.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.config.comparisons import Domain
from workflow_scripts.config.data import DataSettings
from workflow_scripts.config.figures import FIGURES
from workflow_scripts.config.models import ModelSource
from workflow_scripts.config.slices import (
    ComparisonSlice,
    EngineSettings,
    FigureSlice,
    ForeignSlice,
    MainPair,
    OverflowSlice,
    PredictionSlice,
    PretrainingSlice,
    RepresentationSlice,
    ScoringSlice,
    SearchSlice,
    TrackingSlice,
)
from workflow_scripts.config.training import Adapter, LoraSettings
from workflow_scripts.export.recipe import Recipe, Taught
from workflow_scripts.models.features import NAMED_MODULE
from workflow_scripts.prompts.label_tokens import labels_of
from workflow_scripts.results.scorers import judge_of
from workflow_scripts.runtime.home import without_home
from workflow_scripts.study.comparison_groups import ComparisonGroups
from workflow_scripts.study.layout import TRACKING
from workflow_scripts.study.resources import Resources
from workflow_scripts.study.run_slices import RunSlices
from workflow_scripts.study.supervision import Supervision
from workflow_scripts.tasks.patterns import PATTERNS
from workflow_scripts.training.terms import all_terms

# settings that no result depends on
_WITHOUT_RESULTS = ("resources", "results", "max_target_gb", "searches", "report_to")


def _features_of(adapter: Adapter | None) -> list[str]:
    """Features that an adapter needs of the model."""
    if not isinstance(adapter, LoraSettings):
        return []
    modules = adapter.target_modules
    if isinstance(modules, str):
        return [f"LoRA {modules}"]
    return [f"{NAMED_MODULE}{name}" for name in modules]


class Slices(RunSlices):
    """Slices of an experiment's settings; `RunSlices` has those about contexts and training."""

    def __init__(
        self, groups: ComparisonGroups, resources: Resources, supervision: Supervision
    ) -> None:
        super().__init__(supervision)
        self.groups = groups
        self.resources = resources

    # models

    def model(self, model: str) -> ModelSource:
        settings = self.experiment.models[model].model_copy(
            update={"dtype": self.resources.dtype_of(model)}
        )
        return ModelSource(**{name: getattr(settings, name) for name in ModelSource.model_fields})

    def pretraining(self, model: str) -> PretrainingSlice:
        """Raises ValueError if the model is not pretrained here."""
        scratch = self.experiment.models[model].scratch
        if scratch is None:
            raise ValueError(f"{model} is not pretrained here")
        prompts = {task: self.experiment.tasks[task].prompt for task in scratch.tasks}
        return PretrainingSlice(model=self.model(model), prompts=prompts)

    def features_asked(self, model: str) -> dict[str, str]:
        """Feature of the model that the study needs → key path that needs it."""
        asked: dict[str, str] = {}
        for name, task in self.experiment.tasks.items():
            if task.prompt.system is not None:
                asked.setdefault("system", f"tasks.{name}.prompt.system")
            if self.matrix.most_shots(name) > 0:
                shots = "shots" if task.shots is None else f"tasks.{name}.shots"
                asked.setdefault("demonstrations", shots)
        for name, teacher in self.experiment.teachers.items():
            if teacher.system is not None:
                asked.setdefault("system", f"teachers.{name}.system")
            teaches = (
                model in self.matrix.students if teacher.model is None else teacher.model == model
            )
            if teaches and teacher.answers == "none" and teacher.shots != 0:
                asked.setdefault("unanswered", f"teachers.{name}.answers")
        for name, condition in self.experiment.conditions.items():
            if model not in (condition.models or self.matrix.students):
                continue
            asked.setdefault("training", f"conditions.{name}")
            if condition.head == "classification":
                asked.setdefault("classification", f"conditions.{name}.head")
            shared = self.experiment.training
            adapter = condition.adapter or (None if shared is None else shared.adapter)
            section = "training" if condition.adapter is None else f"conditions.{name}"
            for feature in _features_of(adapter):
                asked.setdefault(feature, f"{section}.adapter.target_modules")
        return asked

    # tasks

    def data(self, task: str) -> DataSettings:
        """With the text of a named pattern, so that a change to the text remakes the task."""
        data = self.experiment.tasks[task].data
        pattern = PATTERNS.get(data.pattern or "", data.pattern)
        return data.model_copy(update={"pattern": pattern})

    def overflow(self, task: str) -> OverflowSlice:
        settings = self.experiment.tasks[task]
        return OverflowSlice(
            data=self.data(task),
            prompt=settings.prompt,
            context=self.context(task, self.matrix.shown_at_most(task)),
            max_new_tokens=settings.generation.max_new_tokens,
        )

    def scoring(self, task: str) -> ScoringSlice:
        settings = self.experiment.tasks[task]
        components = self.matrix.components_of_mixture(task)
        return ScoringSlice(
            **settings.scoring.model_dump(),
            labels=labels_of(settings.data),
            components={name: self.scoring(name) for name in components},
        )

    def scorers(self) -> dict[str, str]:
        """Task → its scorer."""
        return {task: self.scorer(task) for task in self.experiment.tasks}

    def prediction(self, task: str) -> PredictionSlice:
        choose_by = self.experiment.evaluation.choose_by
        # nothing is trained on a task without a reference, so nothing is chosen there
        if choose_by == "agreement" and self.experiment.tasks[task].reference is None:
            choose_by = "accuracy"
        return PredictionSlice(**dict(self.scoring(task)), choose_by=choose_by)

    def predictions(self, task: str) -> dict[str, PredictionSlice]:
        return {task: self.prediction(task)}

    def predictions_elsewhere(self, task: str) -> dict[str, PredictionSlice]:
        """Of each other task that runs on the task are evaluated on."""
        return {other: self.prediction(other) for other in self.matrix.transfers_from(task)}

    def foreign(self, model: str, task: str, foreign: str) -> ForeignSlice:
        """Of a result that was made elsewhere."""
        return ForeignSlice(
            name=foreign,
            metric=self.matrix.foreign_settings(model, task, foreign).metric,
            data=self.data(task),
            confidence=self.experiment.analysis.confidence,
        )

    def labels(self, task: str) -> list[str]:
        """The labels of a choice task; empty for other tasks."""
        return list(labels_of(self.experiment.tasks[task].data) or ())

    # searches

    def search(self, search: str) -> SearchSlice:
        settings = self.experiment.searches[search]
        model, task, condition = self.matrix.searched_run(search)
        # training is in the same process, and vLLM needs its own GPU
        engine = EngineSettings(
            kind="transformers", batch_size=self.experiment.evaluation.batch_size, server=None
        )
        return SearchSlice(
            search=settings,
            condition=self.experiment.conditions[condition],
            training=self._training(model),
            phases=self._phases(model, task, condition, None),
            completion=self.completion(model, task).model_copy(update={"engine": engine}),
            scoring=self.prediction(task),
        )

    # evaluation

    def representation(self, task: str) -> RepresentationSlice:
        """Raises ValueError if the experiment measures no representations."""
        if self.experiment.representations is None:
            raise ValueError("the experiment has no `representations`")
        return RepresentationSlice(
            **self.experiment.representations.model_dump(),
            prompt=self.experiment.tasks[task].prompt,
            context=self.context(task, self.matrix.most_shots(task)),
            batch_size=self.experiment.teacher_pass.batch_size,
        )

    # analysis, figures and the report

    def analysis(self) -> AnalysisSettings:
        return self.experiment.analysis

    def comparisons(self, model: str, task: str) -> list[ComparisonSlice]:
        """The comparison groups of the model on the task, with their pairs."""
        return self.groups.comparisons_of(model, task)

    def tuned(self, model: str, task: str) -> dict[str, dict[str, str]]:
        """See `ComparisonGroups.tuned_of`."""
        return self.groups.tuned_of(model, task)

    def main_pairs(self, model: str, task: str) -> list[MainPair]:
        """The pair of each comparison group whose disagreements are shown."""
        return self.groups.main_pairs_of(model, task)

    def domains(self, model: str) -> list[Domain]:
        return self.matrix.domains_of(model)

    def figure(self, model: str, task: str, figure: str) -> FigureSlice:
        """figure: its name, after the name of its comparison group where it is about one."""
        *groups, name = figure.split("/")
        settings = FigureSlice(
            figure=name,
            model=model,
            task=task,
            scorer=self.scorer(task),
            judge=judge_of(self.experiment.tasks[task]),
        )
        if not groups:
            return settings
        group = self.groups.named(model, task, groups[0])
        by_value = FIGURES[name].needs == "numbers"
        values = self.groups.swept_values(group.members, task) if by_value else {}
        return settings.model_copy(
            update={
                "group": group,
                "texts": self.groups.texts_of(group.name),
                "baseline": self.experiment.analysis.baseline,
                "values": values,
            }
        )

    def tracking(self, results: Path) -> TrackingSlice:
        """results: folder of the experiment, behind the prefix of a module."""
        return TrackingSlice(
            report_to=self.experiment.report_to,
            experiment=self.experiment.experiment,
            folder=str(results / TRACKING),
        )

    def identity(self) -> str:
        """The settings of results: no labels, limits, resources, folders or searches."""
        content = self.experiment.model_dump(mode="json", exclude=set(_WITHOUT_RESULTS))
        for name, model in content["models"].items():
            model["dtype"] = self.resources.dtype_of(name)
            del model["resources"]
        for kind in ("models", "tasks", "conditions"):
            for named in content[kind].values():
                del named["label"]
        for group in content["comparisons"].values():
            group["members"] = list(group["members"])
            del group["question"], group["figures"]
        return without_home(json.dumps(content))

    def report(self) -> str:
        """The config that the report shows, without resources, folders and searches."""
        left_out: dict[str, Any] = dict.fromkeys(_WITHOUT_RESULTS, True)
        left_out["models"] = {"__all__": {"resources"}}
        content = self.experiment.model_dump(mode="json", exclude=left_out)
        for name, teacher in content["teachers"].items():
            teacher["system"] = self.teacher_system(name)
        groups = {name: group.model_dump(mode="json") for name, group in self.groups.all.items()}
        return without_home(json.dumps(content | {"comparisons": groups}))

    def wordings(self) -> dict[str, str]:
        """Objective → template of its terms' description."""
        terms = (term for c in self.experiment.conditions.values() for term in all_terms(c))
        return {term.objective: term.wording for term in terms}

    def summary(self) -> str:
        """The same with the names of the config in place of labels: commands take these."""
        content = json.loads(self.report()) | {"labelled": False}
        for kind in ("models", "tasks", "conditions"):
            for named in content[kind].values():
                named["label"] = None
        for group in content["comparisons"].values():
            group["members"] = list(group["members"])
            del group["figures"]
        return json.dumps(content)

    # exports

    def export(
        self,
        model: str,
        task: str,
        condition: str,
        seed: int,
        draw: int = 0,
        *,
        kept: Collection[int],
        command: str,
    ) -> Recipe:
        """How an exported checkpoint was made. kept: see `run`."""
        settings = self.experiment.tasks[task]
        return Recipe(
            experiment=self.experiment.experiment,
            model=model,
            task=task,
            condition=condition,
            draw=draw if draw in self.matrix.draws_of_condition(task, condition) else None,
            base=self.model(model),
            data=settings.data,
            run=self.run(model, task, condition, seed, draw, kept=kept),
            teachers={
                name: self.model(teaching)
                for name in self.matrix.teachers_of(condition)
                if (teaching := self.matrix.teaching_model(name, model)) != model
            },
            generation=settings.generation,
            scoring=self.scoring(task),
            judge=judge_of(settings),
            choose_by=self.experiment.evaluation.choose_by,
            taught=self._taught(model, task, condition, draw),
            shots=self.matrix.most_shots(task),
            baseline=self.experiment.analysis.baseline,
            confidence=self.experiment.analysis.confidence,
            command=command,
        )

    def _taught(self, model: str, task: str, condition: str, draw: int) -> Taught | None:
        """What the teacher of the condition sees; None if there is none or it is another model."""
        teacher = self.experiment.conditions[condition].teacher
        if teacher is None or self.matrix.teaching_model(teacher, model) != model:
            return None
        return Taught(
            system=self.teacher_system(teacher), context=self.teacher_context(task, teacher, draw)
        )


def command_to_make(target: str, configs: Sequence[Path]) -> str:
    """The command that remakes a file from these config files.

    Files outside the working directory are named without their folders.
    """
    here = Path.cwd()
    given = [path.resolve() for path in configs]
    files = [f.relative_to(here) if f.is_relative_to(here) else f.name for f in given]
    options = ["--configfile", *map(str, files), "--"] if files else []
    return without_home(shlex.join(["snakemake", "--cores", "all", *options, target]))

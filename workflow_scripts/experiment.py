"""The experiment: its settings as one whole, checked before anything runs, cut for each rule.

`config/schema.json` and `docs/configuration.md` are generated from here. What a rule gets is a
slice, the settings its result depends on and nothing else; that slice, written as JSON into the
rule's `params`, is what makes Snakemake rerun the rule when a setting changes.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from workflow_scripts.errors import InputError, without_home
from workflow_scripts.export.recipe import Recipe
from workflow_scripts.families import default_families
from workflow_scripts.settings import (
    AnalysisSettings,
    Answers,
    CompletionSlice,
    ConditionSettings,
    ContextSettings,
    DeltaHiddenTerm,
    EngineSettings,
    EvaluationSettings,
    Family,
    FamilySettings,
    ModelSettings,
    ModelSource,
    Name,
    Reading,
    RepresentationSettings,
    RepresentationSlice,
    RunSlice,
    ScoringSlice,
    Shots,
    SignalSettings,
    Stage,
    StageResources,
    StatesTerm,
    Strict,
    SweepSettings,
    TaskSettings,
    TeacherPassSettings,
    TeacherSettings,
    TeacherSlice,
    TrainingSettings,
)
from workflow_scripts.sizes import GIGABYTE, signal_bytes
from workflow_scripts.sweeps import expand_sweeps

# folders beside those of the models in an experiment's results
RESERVED = ("tasks", "figures", "exports", "logs", "benchmarks")
# figures of families that show hidden states
_BY_LAYER = {"teacher_distance", "drift"}
# pydantic names the chosen class of a union in an error's path, after these keys or a list index
_UNIONS = {
    "terms": ("cross_entropy", "hidden", "delta_hidden", "logit_kl", "logit_mse"),
    "adapter": ("lora", "full"),
    "shots": ("constrained-int", "literal['most']"),
}


class Experiment(Strict):
    """One config file; its results live in `results/<experiment>/`."""

    experiment: Name
    results: str = Field("results", description="Folder of all experiments' results.")
    models: dict[Name, ModelSettings] = Field(min_length=1)
    students: tuple[Name, ...] | None = Field(
        None,
        description="Models that the conditions train; all when absent. The others are only in "
        "the in-context gap.",
    )
    tasks: dict[Name, TaskSettings] = Field(min_length=1)
    transfer: dict[Name, tuple[Name, ...]] = Field(
        {},
        description="Task → other tasks on which its runs are evaluated too, without training "
        "on them, at the checkpoint chosen on its own validation items.",
    )
    shots: Shots = Field(
        description="Shot counts at which every model is evaluated without training."
    )
    demonstration_seed: int = Field(0, ge=0, description="Of the draw from the reserved pool.")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    teachers: dict[Name, TeacherSettings] = Field({}, description="Models with a context.")
    conditions: dict[Name, ConditionSettings] = Field(
        {}, description="None: the experiment measures in-context gaps only."
    )
    sweeps: tuple[SweepSettings, ...] = ()
    families: dict[Name, FamilySettings] = Field(
        {},
        description="When absent: `main`, all pairs of the untouched model and the conditions that "
        "are not swept, and one for each sweep and transfer.",
    )
    training: TrainingSettings | None = Field(None, description="Required with conditions.")
    teacher_pass: TeacherPassSettings = TeacherPassSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    representations: RepresentationSettings | None = Field(
        None,
        description="When given, hidden states of checkpoints are measured: of the conditions in "
        "families with the figure `teacher_distance` or `drift`, of all where there is none.",
    )
    analysis: AnalysisSettings = AnalysisSettings()
    max_signal_gb: float = Field(
        500,
        gt=0,
        description="A plan whose signals may need more disk is refused (10⁹ bytes, over all "
        "models whose `layers` and `width` are given).",
    )
    resources: dict[Stage, StageResources] = Field(
        {}, description="What the jobs of each stage ask for."
    )

    @field_validator("shots", "seeds")
    @classmethod
    def increase(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if list(values) != sorted(set(values)):
            raise ValueError("must increase")
        return values

    @model_validator(mode="after")
    def parts_fit_together(self) -> Self:
        for problems in (
            _name_problems,
            _shot_problems,
            _condition_problems,
            _student_problems,
            _transfer_problems,
            _layer_problems,
            _batch_problems,
            _family_problems,
            _disk_problems,
        ):
            _refuse(problems(self))
        return self

    # what the rules ask

    def resources_of(self, stage: Stage, model: str | None = None) -> StageResources:
        """What a job of the stage asks for, of one that loads `model` where it is given."""
        own = self.models[model].resources if model is not None else {}
        return own.get(stage) or self.resources.get(stage) or StageResources()

    def shots_of(self, task: str) -> tuple[int, ...]:
        return self.tasks[task].shots or self.shots

    def conditions_of(self, model: str, task: str) -> list[str]:
        """Conditions that train this model on this task."""
        students = self.models if self.students is None else self.students
        if model not in students or self.tasks[task].data.items.train == 0:
            return []
        return [
            name
            for name, condition in self.conditions.items()
            if condition.models is None or model in condition.models
        ]

    def transfers_to(self, model: str, task: str) -> list[tuple[str, str]]:
        """(source task, condition) of the runs that are evaluated on this task too."""
        return [
            (source, condition)
            for source, targets in self.transfer.items()
            if task in targets
            for condition in self.conditions_of(model, source)
        ]

    def results_of(self, model: str, task: str) -> list[str]:
        """Everything that answers the task with the model: base results, runs, transfers."""
        return [
            *(f"{shots}-shot" for shots in self.shots_of(task)),
            *self.conditions_of(model, task),
            *(f"{name}@{source}" for source, name in self.transfers_to(model, task)),
        ]

    def repeated_condition(self, model: str, task: str) -> str | None:
        """The condition whose first seed is evaluated twice; None where nothing is trained."""
        conditions = self.conditions_of(model, task)
        baseline = self.analysis.baseline
        return baseline if baseline in conditions else next(iter(conditions), None)

    def represented_conditions(self, model: str, task: str) -> list[str]:
        """Trained conditions whose drift is measured: those that a figure shows by layer.

        All of them where no family asks for such a figure; none without `representations`.
        """
        if self.representations is None:
            return []
        shown = [family for family in self.all_families.values() if _BY_LAYER & set(family.figures)]
        members = {name for family in shown for name in family.members}
        trained = self.conditions_of(model, task)
        baseline = self.analysis.baseline
        return [name for name in trained if not shown or name in members or name == baseline]

    @property
    def all_families(self) -> dict[str, FamilySettings]:
        """The families of the config, or those that its sweeps and transfers make."""
        if self.families:
            return self.families
        results = dict.fromkeys(
            name
            for model in self.models
            for task in self.tasks
            for name in self.results_of(model, task)
        )
        return default_families(list(results), self.sweeps, self.analysis.baseline)

    def families_of(self, model: str, task: str) -> list[Family]:
        """Families with at least two results of this model on this task."""
        results = self.results_of(model, task)
        present = [
            Family(
                name=name,
                members=tuple(member for member in family.members if member in results),
                design=family.design,
            )
            for name, family in self.all_families.items()
        ]
        return [family for family in present if len(family.members) > 1]

    def parts(self, task: str) -> list[str]:
        """Names of the parts of every signal on this task, known without reading data."""
        count = math.ceil(self.tasks[task].data.items.train / self.teacher_pass.part_size)
        return [f"{index:04d}" for index in range(count)]

    def signals_of(self, model: str, task: str) -> list[tuple[str, str]]:
        """(teacher, signal) that some condition reads, each once."""
        pairs = [
            (teacher, signal.name)
            for condition in self.conditions_of(model, task)
            for teacher, signal in self.conditions[condition].readings
        ]
        return list(dict.fromkeys(pairs))

    def signal(self, teacher: str, name: str) -> SignalSettings:
        """Raises KeyError when no condition reads that signal from that teacher."""
        for condition in self.conditions.values():
            for reader, signal in condition.readings:
                if (reader, signal.name) == (teacher, name):
                    return signal
        raise KeyError(f"no condition reads signal {name} from teacher {teacher}")

    def signal_bytes(self, model: str, task: str, teacher: str, signal: str) -> int | None:
        """Bytes on disk at most; None when the model's `layers` or `width` is not given.

        An answer is taken to be no longer than what may be generated.
        """
        of_model, of_task = self.models[model], self.tasks[task]
        if of_model.layers is None or of_model.width is None:
            return None
        return signal_bytes(
            self.signal(teacher, signal),
            of_task.data.items.train,
            of_task.generation.max_new_tokens,
            of_model.layers,
            of_model.width,
            of_model.dtype,
        )

    def identity_json(self) -> str:
        """The settings that results depend on: no labels, resources, limits or folders."""
        content = self.model_dump(mode="json", exclude={"resources", "results", "max_signal_gb"})
        for model in content["models"].values():
            del model["resources"]
        for kind in ("models", "tasks", "conditions"):
            for named in content[kind].values():
                del named["label"]
        for family in content["families"].values():
            family["members"] = list(family["members"])
            del family["question"], family["figures"]
        return without_home(json.dumps(content))

    # slices: what each rule's result depends on

    def model_slice(self, model: str) -> ModelSource:
        settings = self.models[model]
        return ModelSource(**{name: getattr(settings, name) for name in ModelSource.model_fields})

    def context(self, shots: int, answers: Answers = "correct") -> ContextSettings:
        # nothing is drawn for no shots, so another seed must change nothing there
        seed = self.demonstration_seed if shots else 0
        return ContextSettings(shots=shots, answers=answers, seed=seed)

    def teacher_context(self, task: str, teacher: str) -> ContextSettings:
        settings = self.teachers[teacher]
        shots = max(self.shots_of(task)) if settings.shots == "most" else settings.shots
        return self.context(shots, settings.answers)

    def completion_slice(self, model: str, task: str, shots: int = 0) -> CompletionSlice:
        chosen = self.models[model]
        settings = self.tasks[task]
        return CompletionSlice(
            prompt=settings.prompt,
            generation=settings.generation,
            choices=settings.data.choices,
            context=self.context(shots),
            engine=EngineSettings(
                kind=chosen.engine,
                batch_size=self.evaluation.batch_size,
                server=chosen.server if chosen.engine == "server" else None,
            ),
        )

    def scoring_slice(self, task: str) -> ScoringSlice:
        settings = self.tasks[task]
        return ScoringSlice(scorer=settings.scoring.scorer, choices=settings.data.choices)

    def teacher_slice(self, task: str, teacher: str, signal: str) -> TeacherSlice:
        return TeacherSlice(
            prompt=self.tasks[task].prompt,
            context=self.teacher_context(task, teacher),
            signal=self.signal(teacher, signal),
            teacher_pass=self.teacher_pass,
        )

    def representation_slice(self, task: str) -> RepresentationSlice:
        """Raises ValueError when the experiment measures no representations."""
        if self.representations is None:
            raise ValueError("the experiment has no `representations`")
        return RepresentationSlice(
            **self.representations.model_dump(),
            prompt=self.tasks[task].prompt,
            context=self.context(max(self.shots_of(task))),
            batch_size=self.teacher_pass.batch_size,
        )

    def run_slice(
        self, model: str, task: str, condition: str, seed: int, kept: Collection[int] = ()
    ) -> RunSlice:
        """What the run's result depends on.

        kept: steps whose checkpoints lie on disk; they stay, so that asking for one of them, or
        for one less, trains nothing again.
        """
        recipe = self.conditions[condition]
        training = self._training_of(model, condition)
        checkpoints = {*training.checkpoints, *(step for step in kept if step <= training.steps)}
        return RunSlice(
            prompt=self.tasks[task].prompt,
            teacher=recipe.teacher,
            terms=recipe.terms,
            readings=tuple(
                Reading(teacher=teacher, context=self.teacher_context(task, teacher), signal=signal)
                for teacher, signal in recipe.readings
            ),
            adapter=recipe.adapter or training.adapter,
            training=training.model_copy(update={"checkpoints": tuple(sorted(checkpoints))}),
            seed=seed,
        )

    def recipe(
        self,
        model: str,
        task: str,
        condition: str,
        seed: int,
        kept: Collection[int],
        command: str,
    ) -> Recipe:
        """What an exported checkpoint tells of itself. kept: as of `run_slice`."""
        settings = self.tasks[task]
        return Recipe(
            experiment=self.experiment,
            model=model,
            task=task,
            condition=condition,
            base=self.model_slice(model),
            data=settings.data,
            run=self.run_slice(model, task, condition, seed, kept),
            generation=settings.generation,
            scoring=self.scoring_slice(task),
            shots=max(self.shots_of(task)),
            baseline=self.analysis.baseline,
            confidence=self.analysis.confidence,
            command=command,
        )

    def _training_of(self, model: str, condition: str) -> TrainingSettings:
        assert self.training is not None
        size = self.models[model]
        changed = {
            "learning_rate": self.conditions[condition].learning_rate,
            "micro_batch_size": size.micro_batch_size,
            "gradient_checkpointing": size.gradient_checkpointing,
        }
        given = {key: value for key, value in changed.items() if value is not None}
        return TrainingSettings.model_validate(self.training.model_dump() | given)


# --- validation ---------------------------------------------------------------------------


def load_experiment(config: Mapping[str, Any]) -> Experiment:
    """The validated experiment.

    Raises InputError with one line for each problem: the key's path and what is wrong there.
    """
    try:
        return Experiment.model_validate(expand_sweeps(config))
    except ValidationError as error:
        raise InputError("\n".join(_line(item) for item in error.errors())) from None


def _line(item: Mapping[str, Any]) -> str:
    if item["type"] == "inconsistent":
        return str(item["msg"])
    return f"{_path(item['loc'])}: {_reason(item)}"


def _path(location: Sequence[int | str]) -> str:
    """The key's path as written in the file, without the names of classes tried for a union."""
    keys: list[str] = []
    for part in location:
        section = keys[-2] if keys and keys[-1].isdigit() else keys[-1] if keys else ""
        if part not in _UNIONS.get(section, ()):
            keys.append(str(part))
    return ".".join(keys) or "config"


def _reason(item: Mapping[str, Any]) -> str:
    if item["type"] == "missing":
        return "is required"
    given = item["input"]
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return str(item["msg"]).removeprefix("Value error, ") + shown


def _refuse(problems: Iterable[tuple[str, str]]) -> None:
    for path, reason in problems:
        raise PydanticCustomError(
            "inconsistent", "{path}: {reason}", {"path": path, "reason": reason}
        )


def _name_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    for name in set(experiment.models) & set(RESERVED):
        yield f"models.{name}", "is the name of a folder of the results; rename it"
    for name in experiment.conditions:
        if re.fullmatch(r"\d+-shot", name):
            yield f"conditions.{name}", "names like this belong to the untouched model; rename it"


def _shot_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    for name, task in experiment.tasks.items():
        path = "shots" if task.shots is None else f"tasks.{name}.shots"
        shots = experiment.shots_of(name)
        if 0 not in shots:
            yield path, "must contain 0: the untouched model is every student's step 0"
        pool = task.data.items.demonstrations
        wanted = [(path, max(shots, default=0))]
        wanted += [
            (f"teachers.{teacher}.shots", experiment.teacher_context(name, teacher).shots)
            for teacher in experiment.teachers
            if task.data.items.train
        ]
        for place, number in wanted:
            if number > pool:
                yield place, f"{number} shots, but tasks.{name} reserves {pool} demonstrations"


def _condition_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    for name, condition in experiment.conditions.items():
        if condition.teacher is not None:
            yield from _unknown(
                condition.teacher, experiment.teachers, f"conditions.{name}.teacher", "teacher"
            )
        for index, term in enumerate(condition.terms):
            if isinstance(term, DeltaHiddenTerm):
                path = f"conditions.{name}.terms.{index}.reference"
                yield from _unknown(term.reference, experiment.teachers, path, "teacher")
                if experiment.teachers[term.reference].shots != 0:
                    yield path, f"'{term.reference}' must be a teacher without demonstrations"


def _student_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    for index, name in enumerate(experiment.students or ()):
        yield from _unknown(name, experiment.models, f"students.{index}", "model")
    for key, condition in experiment.conditions.items():
        for index, name in enumerate(condition.models or ()):
            students = experiment.students or tuple(experiment.models)
            yield from _unknown(name, students, f"conditions.{key}.models.{index}", "student")
    if experiment.conditions:
        if experiment.training is None:
            yield "training", "is required where there are conditions"
        if not any(task.data.items.train for task in experiment.tasks.values()):
            yield "tasks", "none has `data.items.train` above 0, but the conditions train"


def _transfer_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    for source, targets in experiment.transfer.items():
        path = f"transfer.{source}"
        yield from _unknown(source, experiment.tasks, path, "task")
        if experiment.tasks[source].data.items.train == 0:
            yield path, f"nothing is trained on {source}: its `data.items.train` is 0"
        for index, target in enumerate(targets):
            yield from _unknown(target, experiment.tasks, f"{path}.{index}", "task")
            if target == source:
                yield f"{path}.{index}", "a task does not transfer to itself"


def _layer_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    depths = {name: m.layers for name, m in experiment.models.items() if m.layers is not None}
    for name, condition in experiment.conditions.items():
        for index, term in enumerate(condition.terms):
            if not isinstance(term, StatesTerm) or isinstance(term.layers, str):
                continue
            for model, depth in depths.items():
                if max(term.layers, default=0) >= depth:
                    yield (
                        f"conditions.{name}.terms.{index}.layers",
                        f"layer {max(term.layers)} does not exist: {model} has layers "
                        f"0 to {depth - 1}",
                    )


def _batch_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    """The GPUs that train a model share the examples of a step equally."""
    for name, model in experiment.models.items():
        if not any(experiment.conditions_of(name, task) for task in experiment.tasks):
            continue
        assert experiment.training is not None
        path = "training.micro_batch_size"
        if model.micro_batch_size is not None:
            path = f"models.{name}.micro_batch_size"
        elif experiment.training.micro_batch_size is None:
            path = "training.batch_size"
        micro = model.micro_batch_size or experiment.training.micro_batch_size
        training = experiment.training.model_copy(update={"micro_batch_size": micro})
        try:
            training.share_of(max(1, experiment.resources_of("training", name).gpu))
        except ValueError as error:
            yield path, f"{error}, which train {name}"


def _family_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    known = {
        name
        for model in experiment.models
        for task in experiment.tasks
        for name in experiment.results_of(model, task)
    }
    for key, family in experiment.families.items():
        for name in family.members:
            yield from _unknown(name, known, f"families.{key}.members", "result")
        if experiment.representations is None and _BY_LAYER & set(family.figures):
            yield f"families.{key}.figures", "teacher_distance and drift need `representations`"


def _disk_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    needs = {
        (model, task, teacher, signal): experiment.signal_bytes(model, task, teacher, signal) or 0
        for model in experiment.models
        for task in experiment.tasks
        for teacher, signal in experiment.signals_of(model, task)
    }
    total = sum(needs.values()) / GIGABYTE
    if total > experiment.max_signal_gb:
        largest = max(needs, key=lambda key: needs[key])
        yield (
            "max_signal_gb",
            f"the signals may need {total:,.1f} GB of disk, more than "
            f"{experiment.max_signal_gb:g}, {needs[largest] / GIGABYTE:,.1f} GB for "
            f"{'/'.join(largest)} alone; raise the limit or read fewer items, positions or logits",
        )


def _unknown(name: str, known: Iterable[str], path: str, kind: str) -> Iterable[tuple[str, str]]:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        valid = near[0] if near else ", ".join(known) or "none is defined"
        yield path, f"no {kind} named '{name}'; valid here: {valid}"

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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import product
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from workflow_scripts.config.analysis import (
    AnalysisSettings,
    EvaluationSettings,
    RepresentationSettings,
)
from workflow_scripts.config.base import Name, ResultsPath, Shots, Strict
from workflow_scripts.config.comparisons import Domain, Family, FamilyFigure, FamilySettings
from workflow_scripts.config.conditions import ConditionSettings
from workflow_scripts.config.data import DataSettings
from workflow_scripts.config.models import Dtype, ModelSettings, ModelSource
from workflow_scripts.config.resources import Stage, StageResources
from workflow_scripts.config.slices import (
    CompletionSlice,
    ContextSettings,
    EngineSettings,
    FamilySlice,
    OverflowSlice,
    PretrainingSlice,
    Reading,
    RepresentationSlice,
    RunSlice,
    ScoringSlice,
    SearchSlice,
    TeacherSlice,
    TrainingSlice,
)
from workflow_scripts.config.sweeps import SearchedField, SearchSettings, SweepSettings
from workflow_scripts.config.tasks import TaskSettings
from workflow_scripts.config.teachers import (
    Answers,
    SignalSettings,
    TeacherPassSettings,
    TeacherSettings,
)
from workflow_scripts.config.terms import DeltaHiddenTerm, StatesTerm
from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.errors import InputError, without_home
from workflow_scripts.export.recipe import Recipe
from workflow_scripts.families import default_families, pairs_of
from workflow_scripts.labels import labels_of
from workflow_scripts.names import (
    is_transferred,
    source_of,
    swept_field,
    transferred,
    without_source,
)
from workflow_scripts.recipes import items_of, run_of, signals_of
from workflow_scripts.sizes import GIGABYTE, signal_bytes
from workflow_scripts.sweeps import expand_sweeps, field_of_condition, with_fields
from workflow_scripts.tasks.patterns import PATTERNS
from workflow_scripts.tasks.shares import SPLITS, allot
from workflow_scripts.terms import LABEL_TERMS, signal_name, signal_of, teachers_of
from workflow_scripts.training.micro_batches import share_of

# folders beside those of the models in an experiment's results
RESERVED = ("tasks", "figures", "exports", "searches", "logs", "benchmarks")
# figures of families that show hidden states
_BY_LAYER = {"teacher_distance", "drift"}
# pydantic names the chosen class of a union in an error's path, after these keys or a list index
_UNIONS = {
    "terms": (
        "uld",
        "cross_entropy",
        "hidden",
        "delta_hidden",
        "logit_kl",
        "logit_mse",
        "label_cross_entropy",
        "label_kl",
    ),
    "adapter": ("lora", "bitfit", "full"),
    "shots": ("constrained-int", "literal['most']"),
    "top_k": ("constrained-int", "literal['all']"),
    "options": ("str", "tuple[str, ...]"),
    "layers": ("literal['all','early','middle','late']", "tuple[constrained-int, ...]"),
    "members": ("tuple[constrained-str, ...]", "dict[constrained-str,str]"),
    "values": ("tuple[union[bool,int,float,str], ...]", "dict[constrained-str,any]"),
    "target_modules": ("literal['all-linear','attention']", "tuple[str, ...]"),
}
# pydantic's kinds of error, in words of a config file
_TEXT = "must be text"
_KEYS = "must hold keys with values (`key: value`)"
_REASONS = {
    "missing": "is required",
    "tuple_type": "must be a list (`[one, another]`)",
    "dict_type": _KEYS,
    "model_type": _KEYS,
    "model_attributes_type": _KEYS,
    "union_tag_invalid": _KEYS,
    "union_tag_not_found": "must say its `objective`",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}
# how the patterns of names begin
_NAME = "^[A-Za-z0-9][A-Za-z0-9._~=+-]*"


class Experiment(Strict):
    """One config file; its results live in `results/<experiment>/`."""

    experiment: Name
    results: ResultsPath = Field("results", description="Folder of all experiments' results.")
    models: dict[Name, ModelSettings] = Field(min_length=1)
    students: tuple[Name, ...] | None = Field(
        None,
        description="Models that the conditions train; when absent, all but encoder-decoders and "
        "quantized ones. The others are only in the in-context gap, and may teach.",
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
    searches: dict[Name, SearchSettings] = Field(
        {}, description="For fields of conditions; each made when it is asked for."
    )
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
            _mixture_problems,
            _shot_problems,
            _condition_problems,
            _student_problems,
            _scratch_problems,
            _transfer_problems,
            _teacher_problems,
            _architecture_problems,
            _label_problems,
            _head_problems,
            _layer_problems,
            _batch_problems,
            _family_problems,
            _search_problems,
            _disk_problems,
        ):
            _refuse(problems(self))
        return self

    # what the rules ask

    def resources_of(self, stage: Stage, model: str | None = None) -> StageResources:
        """What a job of the stage asks for, of one that loads `model` where it is given."""
        own = self.models[model].resources if model is not None else {}
        return own.get(stage) or self.resources.get(stage) or StageResources()

    @property
    def all_students(self) -> tuple[str, ...]:
        """Models that conditions may train."""
        if self.students is not None:
            return self.students
        return tuple(name for name, model in self.models.items() if not _only_teaches(model))

    @property
    def mixtures(self) -> list[str]:
        """Tasks that are made of others."""
        return [name for name, task in self.tasks.items() if task.data.mixture is not None]

    def parts_of(self, mixture: str) -> tuple[str, ...]:
        """Tasks that a mixture is made of."""
        return tuple(self.tasks[mixture].data.mixture or ())

    @property
    def scratch_models(self) -> list[str]:
        """Models that are trained from nothing."""
        return [name for name, model in self.models.items() if model.scratch is not None]

    def features_asked(self, model: str) -> dict[str, str]:
        """What the study asks of the model's chat template → the key path that asks for it."""
        asked: dict[str, str] = {}
        for name, task in self.tasks.items():
            if task.prompt.system is not None:
                asked.setdefault("system", f"tasks.{name}.prompt.system")
            if max(self.shots_of(name)) > 0:
                shots = "shots" if task.shots is None else f"tasks.{name}.shots"
                asked.setdefault("demonstrations", shots)
        for name, teacher in self.teachers.items():
            teaches = (
                model in self.all_students if teacher.model is None else teacher.model == model
            )
            if teaches and teacher.answers == "none" and teacher.shots != 0:
                asked.setdefault("unanswered", f"teachers.{name}.answers")
        return asked

    def dtype_of(self, model: str) -> Dtype:
        """Precision of the model's passes, where the plan can tell it.

        The job that fetches a model may run on a login node without a GPU. So `auto` is settled
        here where a job that loads the model asks for one; else it is left to that job.
        """
        given = self.models[model].dtype
        if given == "auto" and any(
            self.resources_of(stage, model).gpu for stage in self._stages_that_load(model)
        ):
            return "bfloat16"
        return given

    def _stages_that_load(self, model: str) -> Iterator[Stage]:
        yield "icl_gap"
        if any(self.signals_of(model, task) for task in self.tasks):
            yield "teachers"
        if any(self.conditions_of(model, task) for task in self.tasks):
            yield from ("training", "evaluation")

    def shots_of(self, task: str) -> tuple[int, ...]:
        return self.tasks[task].shots or self.shots

    def conditions_of(self, model: str, task: str) -> list[str]:
        """Conditions that train this model on this task."""
        if model not in self.all_students or self.tasks[task].data.items.train == 0:
            return []
        is_part = any(task in self.parts_of(mixture) for mixture in self.mixtures)
        return [
            name
            for name, condition in self.conditions.items()
            if (condition.models is None or model in condition.models)
            and (not is_part if condition.tasks is None else task in condition.tasks)
        ]

    def transfers_to(self, model: str, task: str) -> list[tuple[str, str]]:
        """(source task, condition) of the runs that are evaluated on this task too."""
        return [
            (source, condition)
            for source, targets in self.transfer.items()
            if task in targets
            for condition in self.conditions_of(model, source)
        ]

    def transfer_shots_of(self, task: str) -> tuple[int, ...]:
        """How many demonstrations runs on others are shown: as many as the untouched model."""
        own = self.shots_of(task)
        return tuple(shots for shots in self.evaluation.transfer_shots if shots in own)

    def results_of(self, model: str, task: str) -> list[str]:
        """Everything that answers the task with the model: base results, runs, transfers."""
        return [
            *(f"{shots}-shot" for shots in self.shots_of(task)),
            *self.conditions_of(model, task),
            *(
                transferred(name, source, shots)
                for source, name in self.transfers_to(model, task)
                for shots in self.transfer_shots_of(task)
            ),
        ]

    def domains_of(self, model: str) -> list[Domain]:
        """In domain and out of domain of each mixture whose runs of this model are transferred."""
        found = []
        for source in self.mixtures:
            parts = self.tasks[source].data.mixture or {}
            targets = self.transfer.get(source, ()) if self.conditions_of(model, source) else ()
            inside = tuple(task for task in targets if task in parts)
            outside = tuple(task for task in targets if task not in parts)
            found += [
                Domain(source=source, name="in", tasks=inside),
                Domain(source=source, name="out", tasks=outside),
            ]
        return [domain for domain in found if domain.tasks]

    @property
    def models_with_domains(self) -> list[str]:
        return [model for model in self.models if self.domains_of(model)]

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
        return [
            name
            for name in trained
            if self.conditions[name].head == "language"
            and (not shown or name in members or name == baseline)
        ]

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

    def texts_of(self, family: str) -> dict[str, str]:
        """Member → what the report says of it."""
        members = self.all_families[family].members
        return dict(members) if isinstance(members, dict) else {}

    def families_of(self, model: str, task: str) -> list[Family]:
        """Families with at least two results of this model on this task.

        Where runs answer the task, a family of runs has one of them: one of transferred results
        says nothing of the task that they come from.
        """
        results = self.results_of(model, task)
        answered_by_runs = any(map(self._is_trained, results))
        present = []
        for name, family in self.all_families.items():
            members = tuple(member for member in family.members if member in results)
            lacks_runs = not any(map(self._is_trained, members))
            is_of_runs = any(map(self._is_trained, family.members))
            if len(members) > 1 and not (answered_by_runs and is_of_runs and lacks_runs):
                present.append(Family(name=name, members=members, design=family.design))
        return present

    def family_slices(self, model: str, task: str) -> list[FamilySlice]:
        """The same with the pairs that their designs compare."""
        return [
            FamilySlice(**family.model_dump(), pairs=pairs_of(family.members, family.design))
            for family in self.families_of(model, task)
        ]

    def _is_trained(self, result: str) -> bool:
        """Whether a result is a run's; others are the untouched model's."""
        return result in self.conditions or is_transferred(result)

    def figures_of(self, model: str, task: str, family: Family) -> list[FamilyFigure]:
        """The figures of a family that its members have something for.

        Hidden states are those of members that are trained on the task; a figure by value needs
        two members with numbers, and costs are of what is trained or answered without a transfer.
        """
        numbers = self.swept_values(family.members, task)
        with_costs = [member for member in numbers if not is_transferred(member)]
        trained = set(family.members) & set(self.conditions_of(model, task))
        possible = {
            "standings": True,
            "accuracy_by_value": len(numbers) > 1,
            "memory_by_value": len(with_costs) > 1,
            "teacher_distance": bool(trained),
            "drift": bool(trained),
        }
        return [name for name in self.all_families[family.name].figures if possible[name]]

    @property
    def choice_tasks(self) -> list[str]:
        """Tasks that are answered with one of their labels."""
        scorers = ("choice", "likelihood")
        return [name for name, task in self.tasks.items() if task.scoring.scorer in scorers]

    def parts(self, task: str) -> list[str]:
        """Names of the parts of every signal on this task, known without reading data."""
        count = math.ceil(self.tasks[task].data.items.train / self.teacher_pass.part_size)
        return [f"{index:04d}" for index in range(count)]

    def teaching_model(self, teacher: str, student: str) -> str:
        """The model whose signals a student reads from this teacher: they lie in its folder."""
        return self.teachers[teacher].model or student

    def signals_of(self, model: str, task: str) -> list[tuple[str, str]]:
        """(teacher, signal) that some student reads from this model, each once."""
        pairs = [
            (teacher, signal_name(signal))
            for student in self.models
            for condition in self.conditions_of(student, task)
            for teacher, signal in signals_of(self.conditions[condition])
            if self.teaching_model(teacher, student) == model
        ]
        return list(dict.fromkeys(pairs))

    def train_items(self, task: str, condition: str) -> int:
        """Items that a condition trains on."""
        return items_of(self.conditions[condition], self.tasks[task].data.items.train)

    def support(self, task: str, result: str) -> int:
        """Labelled examples that a result uses: demonstrations shown, or items trained on."""
        if not self._is_trained(result):
            return int(result.removesuffix("-shot"))
        return self.train_items(source_of(result) or task, without_source(result))

    def swept_values(self, members: Iterable[str], task: str) -> dict[str, float]:
        """Result → its number in the field that a family's variants are swept in.

        Members whose base or variants are not of that field are left out, and all are where there
        is no such field or its values are no numbers. Base results have their shots where the
        field is `train_items`.
        """
        members = list(members)
        fields = {field for name in members if (field := swept_field(name))}
        if len(fields) != 1:
            return {}
        (field,) = fields
        values = {name: self._value_at(name, field, task) for name in members}
        return {name: value for name, value in values.items() if value is not None}

    def _value_at(self, result: str, field: str, task: str) -> float | None:
        if field == "train_items":
            return self.support(task, result)
        condition = self.conditions.get(without_source(result))
        if condition is None or self.training is None:
            return None
        training = self.training.model_dump()
        recipe = condition.model_dump()
        adapter = recipe["adapter"] or training["adapter"]
        try:
            value = field_of_condition(recipe | {"adapter": adapter}, field)
        except KeyError:  # it has no such term
            return None
        value = training.get(field) if value is None else value
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def signal(self, teacher: str, name: str) -> SignalSettings:
        """Raises KeyError when no condition reads that signal from that teacher."""
        for condition in self.conditions.values():
            for reader, signal in signals_of(condition):
                if (reader, signal_name(signal)) == (teacher, name):
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
            len(labels_of(of_task.data) or ()),
            of_task.data.items.train,
            of_task.generation.max_new_tokens,
            of_model.layers,
            of_model.width,
            self.dtype_of(model),
        )

    def identity_json(self) -> str:
        """The settings that results depend on: no labels, limits, resources, folders, searches."""
        content = self.model_dump(
            mode="json", exclude={"resources", "results", "max_signal_gb", "searches"}
        )
        for name, model in content["models"].items():
            model["dtype"] = self.dtype_of(name)
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
        settings = self.models[model].model_copy(update={"dtype": self.dtype_of(model)})
        return ModelSource(**{name: getattr(settings, name) for name in ModelSource.model_fields})

    def context(self, task: str, shots: int, answers: Answers = "correct") -> ContextSettings:
        # nothing is drawn for no shots, so another seed must change nothing there
        seed = self.demonstration_seed if shots else 0
        balanced = self.tasks[task].data.balanced and shots > 0
        return ContextSettings(shots=shots, answers=answers, seed=seed, balanced=balanced)

    def teacher_context(self, task: str, teacher: str) -> ContextSettings:
        settings = self.teachers[teacher]
        shots = max(self.shots_of(task)) if settings.shots == "most" else settings.shots
        return self.context(task, shots, settings.answers)

    def data_slice(self, task: str) -> DataSettings:
        """A named pattern is written out: another wording of it makes the task again."""
        data = self.tasks[task].data
        pattern = PATTERNS.get(data.pattern or "", data.pattern)
        return data.model_copy(update={"pattern": pattern})

    def overflow_slice(self, task: str) -> OverflowSlice:
        settings = self.tasks[task]
        teachers = self.teachers if settings.data.items.train else ()
        shown = [self.teacher_context(task, teacher).shots for teacher in teachers]
        return OverflowSlice(
            data=self.data_slice(task),
            prompt=settings.prompt,
            context=self.context(task, max([*self.shots_of(task), *shown])),
            max_new_tokens=settings.generation.max_new_tokens,
        )

    def completion_slice(self, model: str, task: str, shots: int = 0) -> CompletionSlice:
        chosen = self.models[model]
        settings = self.tasks[task]
        return CompletionSlice(
            prompt=settings.prompt,
            generation=settings.generation,
            labels=labels_of(settings.data),
            context=self.context(task, shots),
            engine=EngineSettings(
                kind=chosen.engine,
                batch_size=self.evaluation.batch_size,
                server=chosen.server if chosen.engine == "server" else None,
            ),
        )

    def scoring_slice(self, task: str) -> ScoringSlice:
        settings = self.tasks[task]
        return ScoringSlice(
            **settings.scoring.model_dump(),
            labels=labels_of(settings.data),
            parts={part: self.scoring_slice(part) for part in self.parts_of(task)},
        )

    def pretraining_slice(self, model: str) -> PretrainingSlice:
        """Raises ValueError when the model is not trained from scratch."""
        scratch = self.models[model].scratch
        if scratch is None:
            raise ValueError(f"{model} is not trained from scratch")
        prompts = {task: self.tasks[task].prompt for task in scratch.tasks}
        return PretrainingSlice(model=self.model_slice(model), prompts=prompts)

    def teacher_slice(self, task: str, teacher: str, signal: str) -> TeacherSlice:
        return TeacherSlice(
            prompt=self.tasks[task].prompt,
            context=self.teacher_context(task, teacher),
            signal=(of_teacher := self.signal(teacher, signal)),
            labels=labels_of(self.tasks[task].data) if of_teacher.kind == "labels" else None,
            max_unknown=self.teachers[teacher].max_unknown,
            teacher_pass=self.teacher_pass,
        )

    def representation_slice(self, task: str) -> RepresentationSlice:
        """Raises ValueError when the experiment measures no representations."""
        if self.representations is None:
            raise ValueError("the experiment has no `representations`")
        return RepresentationSlice(
            **self.representations.model_dump(),
            prompt=self.tasks[task].prompt,
            context=self.context(task, max(self.shots_of(task))),
            batch_size=self.teacher_pass.batch_size,
        )

    def run_slice(
        self, model: str, task: str, condition: str, seed: int, kept: Collection[int] = ()
    ) -> RunSlice:
        """What the run's result depends on.

        kept: steps whose checkpoints lie on disk; they stay, so that asking for one of them, or
        for one less, trains nothing again.
        """
        data = self.tasks[task].data
        run = run_of(
            self.conditions[condition],
            self._training(model),
            items=data.items.train,
            prompt=self.tasks[task].prompt,
            labels=labels_of(data),
            readings=self._readings(task, condition),
            seed=seed,
        )
        steps = {*run.training.checkpoints, *(step for step in kept if step <= run.training.steps)}
        training = run.training.model_copy(update={"checkpoints": tuple(sorted(steps))})
        return run.model_copy(update={"training": training})

    def search_slice(self, search: str) -> SearchSlice:
        settings = self.searches[search]
        ((model, task),) = self.searched_pairs(settings)
        # training is in the same process, and vLLM wants a GPU to itself
        engine = EngineSettings(
            kind="transformers", batch_size=self.evaluation.batch_size, server=None
        )
        return SearchSlice(
            search=settings,
            condition=self.conditions[settings.condition],
            training=self._training(model),
            readings=self._readings(task, settings.condition),
            items=self.tasks[task].data.items.train,
            completion=self.completion_slice(model, task).model_copy(update={"engine": engine}),
            scoring=self.scoring_slice(task),
        )

    def searched_pairs(self, search: SearchSettings) -> list[tuple[str, str]]:
        """(model, task) of the runs that the search is about: one, or it is refused."""
        return [
            (model, task)
            for model, task in product(self.models, self.tasks)
            if search.model in (None, model)
            and search.task in (None, task)
            and search.condition in self.conditions_of(model, task)
        ]

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
            teachers={
                teacher: self.model_slice(teaching)
                for teacher, _ in signals_of(self.conditions[condition])
                if (teaching := self.teaching_model(teacher, model)) != model
            },
            generation=settings.generation,
            scoring=self.scoring_slice(task),
            shots=max(self.shots_of(task)),
            baseline=self.analysis.baseline,
            confidence=self.analysis.confidence,
            command=command,
        )

    def training_of(self, model: str, task: str, condition: str) -> TrainingSlice:
        """The recipe of a condition's runs, in steps."""
        return self.run_slice(model, task, condition, self.seeds[0]).training

    def _training(self, model: str) -> TrainingSettings:
        """The recipe that all conditions share, as the model's size asks for it."""
        assert self.training is not None
        size = self.models[model]
        changed = {
            "micro_batch_size": size.micro_batch_size,
            "gradient_checkpointing": size.gradient_checkpointing,
        }
        given = {key: value for key, value in changed.items() if value is not None}
        return TrainingSettings.model_validate(self.training.model_dump() | given)

    def _readings(self, task: str, condition: str) -> tuple[Reading, ...]:
        return tuple(
            Reading(teacher=teacher, context=self.teacher_context(task, teacher), signal=signal)
            for teacher, signal in signals_of(self.conditions[condition])
        )


# --- validation ---------------------------------------------------------------------------


def load_experiment(config: Mapping[str, Any]) -> Experiment:
    """The validated experiment.

    Raises InputError with one line for each problem: the key's path and what is wrong there.
    """
    try:
        return Experiment.model_validate(expand_sweeps(config))
    except ValidationError as error:
        raise InputError("\n".join(_lines(error.errors()))) from None


def _lines(errors: Sequence[Mapping[str, Any]]) -> list[str]:
    """One for each key; where a value fits none of several kinds, with what each of them asks."""
    places = [item["loc"] for item in errors]
    reasons: dict[str, list[str]] = {}
    for item in errors:
        place = item["loc"]
        inside = [other for other in places if len(other) > len(place)]
        # of a list whose entries are refused it is said too that nothing is left of it
        if item["type"] == "too_short" and any(o[: len(place)] == place for o in inside):
            continue
        told = item["ctx"] if item["type"] == "inconsistent" else {}
        path = told.get("path") or _path(place)
        reasons.setdefault(path, []).append(told.get("reason") or _reason(item))
    return [f"{path}: {'; or '.join(dict.fromkeys(own))}" for path, own in reasons.items()]


def _path(location: Sequence[int | str]) -> str:
    """The key's path as written in the file, without the names of classes tried for a union."""
    keys: list[str] = []
    for part in location:
        section = keys[-2] if keys and keys[-1].isdigit() else keys[-1] if keys else ""
        if part not in _UNIONS.get(section, ()) and part != "[key]":
            keys.append(str(part))
    return ".".join(keys) or "config"


def _reason(item: Mapping[str, Any]) -> str:
    given, told = item["input"], item.get("ctx", {})
    shown = f" (given: {given!r})" if isinstance(given, str | int | float) else ""
    if given is None or isinstance(given, date):
        shown = f" (given: {given or 'nothing'})"
    match item["type"]:
        case "missing" | "union_tag_not_found":
            return _REASONS[item["type"]]
        case "string_type":
            reason = _must_be_text(given)
        case "tuple_type" if isinstance(given, str | int | float):
            reason = f"must be a list: [{json.dumps(given)}]"
        case "string_pattern_mismatch" if str(told["pattern"]).startswith(_NAME):
            reason = "must be letters, digits and ._~=+- and begin with a letter or digit"
        case "union_tag_invalid" if told["tag"]:
            valid = re.findall("'([^']+)'", told["expected_tags"])
            kind = "objective" if "objective" in told["discriminator"] else "kind"
            near = difflib.get_close_matches(told["tag"], valid, n=1)
            return f"there is no {kind} '{told['tag']}'; valid here: {', '.join(near or valid)}"
        case "literal_error":
            valid = re.findall("'([^']+)'", told["expected"])
            near = difflib.get_close_matches(str(given), valid, n=1)
            reason = f"must be {' or '.join(near or valid)}"
        case kind:
            reason = _REASONS.get(kind, str(item["msg"]).removeprefix("Value error, "))
    return reason + shown


def _must_be_text(given: Any) -> str:
    if isinstance(given, bool):
        return "must be text; to YAML, yes, no, on, off, true and false are text in quotes only"
    if given is None:
        return "must be text; to YAML, null and ~ are text in quotes only"
    return "must be text; put it in quotes" if isinstance(given, int | float | date) else _TEXT


def _only_teaches(model: ModelSource) -> bool:
    return model.architecture == "encoder-decoder" or model.quantization is not None


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


def _mixture_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    for name in experiment.mixtures:
        task = experiment.tasks[name]
        for part in experiment.parts_of(name):
            path = f"tasks.{name}.data.mixture.{part}"
            yield from _unknown(part, experiment.tasks, path, "task")
            own = experiment.tasks[part]
            if own.data.mixture is not None:
                yield path, "is a mixture itself; name its tasks"
            if own.prompt != task.prompt:
                yield f"tasks.{part}.prompt", f"must be that of '{name}', which it is a part of"
            for split in SPLITS:
                taken = allot(getattr(task.data.items, split), task.data.mixture or {})[part]
                there = getattr(own.data.items, split)
                if taken > there:
                    yield (
                        path,
                        f"{taken} items for {split} are taken of it, but it has {there}; see "
                        f"tasks.{part}.data.items",
                    )


def _scratch_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    for name in experiment.scratch_models:
        scratch = experiment.models[name].scratch
        for index, task in enumerate(scratch.tasks if scratch is not None else ()):
            path = f"models.{name}.scratch.tasks.{index}"
            yield from _unknown(task, experiment.tasks, path, "task")
            data = experiment.tasks[task].data
            if data.items.train == 0:
                yield path, f"nothing can be learned from {task}: its `data.items.train` is 0"
            if data.overflow == "exclude":
                yield path, f"{task} asks every model what does not fit, so none can be made of it"


def _architecture_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    """What models that only teach cannot do."""
    for name, model in experiment.models.items():
        path = f"models.{name}"
        if model.architecture == "encoder-decoder" and model.engine in ("vllm", "server"):
            yield f"{path}.engine", "vLLM serves no encoder-decoder; use `transformers` or `auto`"
        if model.quantization is not None:
            for stage in ("icl_gap", "teachers"):
                if experiment.resources_of(stage, name).gpu == 0:
                    yield (
                        f"{path}.quantization",
                        f"{model.quantization} needs a CUDA GPU, but jobs of `{stage}` ask for "
                        f"none; set {path}.resources.{stage}.gpu",
                    )
    for student, task in product(experiment.models, experiment.tasks):
        for condition in experiment.conditions_of(student, task):
            for index, term in enumerate(experiment.conditions[condition].terms):
                for teacher in teachers_of(term, experiment.conditions[condition].teacher):
                    teaching = experiment.teaching_model(teacher, student)
                    signal = signal_of(term)
                    kind = signal.kind if signal is not None else None
                    if experiment.models[teaching].architecture == "encoder-decoder" and kind in (
                        "hidden",
                        "logits",
                    ):
                        yield (
                            f"conditions.{condition}.terms.{index}",
                            f"{term.objective} needs a teacher that is a causal model, but "
                            f"'{teacher}' is {teaching}; use uld or label_kl",
                        )


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
    targets = {name for names in experiment.transfer.values() for name in names}
    shown = {number for name in targets for number in experiment.transfer_shots_of(name)}
    for number in experiment.evaluation.transfer_shots:
        if targets and number not in shown:
            yield (
                "evaluation.transfer_shots",
                f"{number} shots, but no task under `transfer` is evaluated at as many; add "
                f"{number} to its `shots`",
            )


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


def _label_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    """Label terms need labels on every task that they train on."""
    for model, task in product(experiment.models, experiment.tasks):
        if labels_of(experiment.tasks[task].data) is not None:
            continue
        for name in experiment.conditions_of(model, task):
            for index, term in enumerate(experiment.conditions[name].terms):
                if isinstance(term, LABEL_TERMS):
                    yield (
                        f"conditions.{name}.terms.{index}",
                        f"{term.objective} needs labels, but tasks.{task}.data has neither "
                        "`choices` nor `verbalizers`",
                    )


def _teacher_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    """Another model as teacher has states of another kind, and may have other tokens."""
    for name, settings in experiment.teachers.items():
        if settings.model is not None:
            path = f"teachers.{name}.model"
            yield from _unknown(settings.model, experiment.models, path, "model")
    for model, task in product(experiment.models, experiment.tasks):
        for name in experiment.conditions_of(model, task):
            condition = experiment.conditions[name]
            for index, term in enumerate(condition.terms):
                path = f"conditions.{name}.terms.{index}"
                for teacher in teachers_of(term, condition.teacher):
                    teaching = experiment.teaching_model(teacher, model)
                    if isinstance(term, StatesTerm) and teaching != model:
                        yield (
                            path,
                            f"{term.objective} compares states of one model, but teacher "
                            f"'{teacher}' of {model} is {teaching}; use logit or label terms",
                        )


def _head_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    """A classification head knows the labels of the task that it was trained on only."""
    for source, targets in experiment.transfer.items():
        labels = labels_of(experiment.tasks[source].data)
        for index, target in enumerate(targets):
            other = labels_of(experiment.tasks[target].data)
            for name, condition in experiment.conditions.items():
                if condition.head == "classification" and labels != other:
                    yield (
                        f"transfer.{source}.{index}",
                        f"{name} has a classification head for {labels}, but {target} has "
                        f"{other}; give both the same labels in one order",
                    )


def _student_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    for index, name in enumerate(experiment.students or ()):
        yield from _unknown(name, experiment.models, f"students.{index}", "model")
        if _only_teaches(experiment.models[name]):
            yield (
                f"students.{index}",
                f"{name} is an encoder-decoder or quantized: such a model only teaches",
            )
    for key, condition in experiment.conditions.items():
        for index, name in enumerate(condition.models or ()):
            path = f"conditions.{key}.models.{index}"
            yield from _unknown(name, experiment.all_students, path, "student")
        for index, name in enumerate(condition.tasks or ()):
            path = f"conditions.{key}.tasks.{index}"
            yield from _unknown(name, experiment.tasks, path, "task")
            if experiment.tasks[name].data.items.train == 0:
                yield path, f"nothing is trained on {name}: its `data.items.train` is 0"
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
            share_of(training, max(1, experiment.resources_of("training", name).gpu))
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


def _search_problems(experiment: Experiment) -> Iterable[tuple[str, str]]:
    for name, search in experiment.searches.items():
        path = f"searches.{name}"
        known = experiment.conditions
        yield from _unknown(search.condition, known, f"{path}.condition", "condition")
        if search.model is not None:
            yield from _unknown(search.model, experiment.models, f"{path}.model", "model")
        if search.task is not None:
            yield from _unknown(search.task, experiment.tasks, f"{path}.task", "task")
        pairs = experiment.searched_pairs(search)
        if not pairs:
            yield path, f"nothing is trained under {search.condition} with this model and task"
        if len(pairs) > 1:
            several = ", ".join(f"{model} on {task}" for model, task in pairs)
            yield path, f"give `model` and `task`: {search.condition} trains {several}"
        for field, values in search.fields.items():
            for problem in _searched_field_problems(experiment, search.condition, field, values):
                yield f"{path}.fields.{field}", problem


def _searched_field_problems(
    experiment: Experiment, condition: str, field: str, values: SearchedField
) -> Iterable[str]:
    assert experiment.training is not None
    base = experiment.conditions[condition]
    if field in ("label", "models", "tasks"):
        yield "changes nothing that is trained"
    # the ends of a range stand for all that is between
    tried = values.choices or [end for end in (values.low, values.high) if end is not None]
    for value in tried:
        try:
            varied = with_fields(base, {field: value}, experiment.training.adapter)
        except KeyError as error:
            yield str(error.args[0])
        except ValidationError as error:
            yield f"{value!r} does not fit there: {_lines(error.errors())[0]}"
        else:
            if signals_of(varied) != signals_of(base):
                yield "would need other signals of a teacher; vary it with a sweep"


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

"""What each rule's result depends on."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from workflow_scripts.config.slices import RunSlice
from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.prompts.label_tokens import labels_of
from workflow_scripts.study.load import load_study
from workflow_scripts.study.slices import command_to_make
from workflow_scripts.tasks.patterns import PATTERNS
from workflow_scripts.teachers.targets import teacher_target_name
from workflow_scripts.training.micro_batches import share_of
from workflow_scripts.training.recipes import in_steps
from workflow_scripts.training.terms import target_names

ROOT = Path(__file__).parents[3]


def test_a_conditions_own_adapter_goes_before_the_shared_one(config):
    config["conditions"]["sft"]["adapter"] = {"rank": 4}
    study = load_study(config)
    assert study.slices.run("smollm2-135m", "plural", "sft", 0).adapter.rank == 4
    assert study.slices.run("smollm2-135m", "plural", "layerwise", 0).adapter.rank == 16


def test_a_run_slice_survives_json(config):
    settings = load_study(config).slices.run("smollm2-135m", "plural", "layerwise", 3)
    assert RunSlice.model_validate_json(settings.model_dump_json()) == settings


def test_labels_and_resources_are_no_part_of_the_identity(config):
    plain = load_study(config).slices.identity()
    config["models"]["smollm2-135m"]["label"] = "other"
    config["conditions"]["sft"]["label"] = "other"
    config["resources"] = {"training": {"threads": 4, "mem_mb": 9000}}
    assert load_study(config).slices.identity() == plain


@pytest.fixture
def with_teacher(config: dict[str, Any]) -> dict[str, Any]:
    """The default with a model that only teaches."""
    config["models"]["t5"] = {
        "source": "t5",
        "architecture": "encoder-decoder",
        "layers": 2,
        "width": 8,
    }
    config["teachers"]["t5"] = {"model": "t5", "shots": 0}
    config["conditions"]["uld"] = {"teacher": "t5", "terms": [{"objective": "uld", "weight": 0.5}]}
    return config


def test_a_dtype_is_left_to_the_job_that_fetches_where_no_job_asks_for_a_gpu(config):
    config["resources"] = {"analysis": {"gpu": 1}}
    assert load_study(config).slices.model("smollm2-135m").dtype == "auto"


@pytest.mark.parametrize("stage", ["icl_gap", "teachers", "training", "evaluation"])
def test_a_model_that_a_gpu_job_loads_is_in_bfloat16(stage, config):
    config["resources"] = {stage: {"gpu": 1}}
    assert load_study(config).slices.model("smollm2-135m").dtype == "bfloat16"


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_dtype_that_is_given_stays_where_jobs_ask_for_a_gpu(dtype, config):
    config["models"]["smollm2-135m"] |= {"dtype": dtype, "resources": {"training": {"gpu": 1}}}
    assert load_study(config).slices.model("smollm2-135m").dtype == dtype


@pytest.mark.parametrize(
    ("stage", "dtype"),
    [
        ("icl_gap", "bfloat16"),
        ("teachers", "bfloat16"),
        ("training", "auto"),
        ("evaluation", "auto"),
        ("pretraining", "auto"),
    ],
)
def test_a_teacher_does_not_care_for_gpus_that_only_students_use(stage, dtype, with_teacher):
    with_teacher["resources"] = {stage: {"gpu": 1}}
    assert load_study(with_teacher).slices.model("t5").dtype == dtype


def test_a_model_s_own_resources_decide(with_teacher):
    with_teacher["models"]["t5"]["resources"] = {"icl_gap": {"gpu": 1}}
    study = load_study(with_teacher)
    dtypes = [study.slices.model(name).dtype for name in ("smollm2-135m", "t5")]
    assert dtypes == ["auto", "bfloat16"]


def test_the_identity_holds_the_dtype_that_a_gpu_decides(config):
    config["resources"] = {"training": {"gpu": 1}}
    identity = json.loads(load_study(config).slices.identity())
    assert identity["models"]["smollm2-135m"]["dtype"] == "bfloat16"


def test_no_home_folder_reaches_the_identity(config):
    folder = Path.home() / "models" / "mine"
    config["models"]["smollm2-135m"] = {"source": str(folder)}
    identity = load_study(config).slices.identity()
    assert str(Path.home()) not in identity
    assert "~/models/mine" in identity


def test_another_wording_of_a_named_pattern_makes_the_task_again(nli, monkeypatch):
    study = load_study(nli)
    before = study.slices.data("plural")
    assert before.pattern == PATTERNS["minimal"]
    monkeypatch.setitem(PATTERNS, "minimal", "{premise} So: {hypothesis} ?")
    assert study.slices.data("plural").pattern == "{premise} So: {hypothesis} ?"
    assert study.slices.overflow("plural").data.pattern == "{premise} So: {hypothesis} ?"


def test_what_a_study_asks_of_a_chat_template_is_known_by_its_keys(config):
    study = load_study(config)
    asked_by_conditions = {
        "training": "conditions.sft",
        "LoRA all-linear": "training.adapter.target_modules",
    }
    assert study.slices.features_asked("smollm2-135m") == asked_by_conditions | {
        "system": "tasks.plural.prompt.system",
        "demonstrations": "shots",
    }
    del config["tasks"]["plural"]["prompt"]["system"]
    config["teachers"]["few-shot"]["answers"] = "none"
    config["tasks"]["plural"]["shots"] = [0, 4]
    assert load_study(config).slices.features_asked("smollm2-135m") == asked_by_conditions | {
        "demonstrations": "tasks.plural.shots",
        "unanswered": "teachers.few-shot.answers",
    }


def test_lora_asks_for_the_modules_that_each_condition_names(config):
    config["training"]["adapter"] = {"target_modules": ["q_proj", "v_proj"]}
    config["conditions"]["sft"]["adapter"] = {"target_modules": "attention"}
    config["conditions"]["layerwise"]["adapter"] = {"kind": "full"}
    asked = load_study(config).slices.features_asked("smollm2-135m")
    shared = "training.adapter.target_modules"
    assert {feature: path for feature, path in asked.items() if feature.startswith("LoRA")} == {
        "LoRA module q_proj": shared,
        "LoRA module v_proj": shared,
        "LoRA attention": "conditions.sft.adapter.target_modules",
    }


def test_another_models_teacher_asks_nothing_of_a_student(config):
    config["models"]["other"] = config["models"]["smollm2-135m"]
    config["students"] = ["smollm2-135m"]
    config["teachers"]["few-shot"] |= {"answers": "none"}
    config["conditions"]["layerwise"]["models"] = ["smollm2-135m"]
    study = load_study(config)
    assert "unanswered" in study.slices.features_asked("smollm2-135m")
    assert "unanswered" not in study.slices.features_asked("other")


def test_a_classification_head_is_asked_of_the_models_that_it_is_trained_on(nli):
    nli["conditions"]["vanilla"] = {
        "head": "classification",
        "terms": [{"objective": "label_cross_entropy"}],
    }
    slices = load_study(nli).slices
    asked = {model: slices.features_asked(model).get("classification") for model in nli["models"]}
    assert asked == {"student": "conditions.vanilla.head", "larger": None}


def test_a_teacher_may_show_as_many_demonstrations_as_the_task_has_shots(config):
    config["teachers"]["few-shot"]["shots"] = "most"
    config["tasks"]["plural"]["shots"] = [0, 3]
    assert load_study(config).slices.teacher_context("plural", "few-shot").shots == 3


def test_what_a_models_size_asks_for_goes_before_the_shared_settings(config):
    config["models"]["smollm2-135m"] |= {"micro_batch_size": 2, "gradient_checkpointing": True}
    config["models"]["smollm2-135m"]["resources"] = {"training": {"gpu": 2}}
    study = load_study(config)
    training = study.slices.run("smollm2-135m", "plural", "sft", 0).training
    assert (training.micro_batch_size, training.gradient_checkpointing) == (2, True)
    assert study.resources.of("training", "smollm2-135m").gpu == 2
    assert study.resources.of("training").gpu == 0


def test_a_models_memory_and_engine_do_not_fetch_it_again(config):
    plain = load_study(config).slices.model("smollm2-135m")
    config["models"]["smollm2-135m"] |= {"engine": "transformers", "micro_batch_size": 2}
    assert load_study(config).slices.model("smollm2-135m") == plain


def test_a_condition_may_have_its_own_learning_rate(config):
    config["conditions"]["sft"]["learning_rate"] = 1e-5
    study = load_study(config)
    assert study.slices.run("smollm2-135m", "plural", "sft", 0).training.learning_rate == 1e-5


@pytest.mark.parametrize(
    ("kept", "checkpoints"),
    [((), (2, 4)), ((4,), (2, 4)), ((3,), (2, 3, 4)), ((3, 12), (2, 3, 4))],
)
def test_a_run_keeps_the_checkpoints_that_lie_on_disk_up_to_its_last_step(
    config, kept, checkpoints
):
    config["training"] |= {"steps": 8, "checkpoints": [2, 4]}
    run = load_study(config).slices.run("smollm2-135m", "plural", "sft", 0, kept=kept)
    assert run.training.checkpoints == checkpoints


def test_a_shift_reads_the_reference_too(config):
    term = config["conditions"]["layerwise"]["terms"][1]
    term |= {"objective": "delta_hidden", "reference": "zero-shot"}
    run = load_study(config).slices.run("smollm2-135m", "plural", "layerwise", 0)
    names = ("few-shot/hidden-block-query", "zero-shot/hidden-block-query")
    (phase,) = run.phases
    assert tuple(map(teacher_target_name, phase.reads)) == names
    assert target_names(run, phase.terms[1]) == names
    assert target_names(run, phase.terms[0]) == ()


def test_each_gpu_gets_its_share_of_a_batch_at_once_by_default(config):
    training = load_study(config).experiment.training
    assert share_of(training, 4) == (2, 1)
    assert share_of(training.model_copy(update={"micro_batch_size": 1}), 4) == (1, 2)


def test_questions_and_texts_of_groups_are_no_part_of_the_identity(config):
    config["comparisons"] = {"main": {"question": "?", "members": ["sft", "layerwise"]}}
    plain = load_study(config).slices.identity()
    texts = {"sft": "fine-tuning", "layerwise": "states"}
    config["comparisons"] = {"main": {"question": "Which?", "members": texts}}
    assert load_study(config).slices.identity() == plain


def test_the_limit_on_disk_is_no_part_of_what_results_depend_on(config):
    before = load_study(config).slices.identity()
    config["max_target_gb"] = 9
    assert load_study(config).slices.identity() == before


def test_the_words_that_verbalize_are_the_labels(nli):
    assert labels_of(load_study(nli).experiment.tasks["plural"].data) == ("Yes", "No")


def test_choices_are_the_labels_where_nothing_is_verbalized(nli):
    data = nli["tasks"]["plural"]["data"]
    del data["verbalizers"]
    data["choices"] = ["A", "B", "C"]
    assert labels_of(load_study(nli).experiment.tasks["plural"].data) == ("A", "B", "C")


def test_a_balanced_task_shows_balanced_demonstrations(nli):
    nli["tasks"]["plural"]["data"]["balanced"] = True
    study = load_study(nli)
    assert study.slices.context("plural", 4).balanced
    assert study.slices.teacher_context("plural", "larger").balanced
    # without demonstrations nothing is drawn, and one target serves balanced tasks and others
    assert not study.slices.context("plural", 0).balanced


def test_overflow_is_decided_by_the_most_demonstrations_that_anything_shows(nli):
    nli["teachers"]["larger"]["shots"] = 12
    assert load_study(nli).slices.overflow("plural").context.shots == 12
    nli["shots"] = [0, 14]
    assert load_study(nli).slices.overflow("plural").context.shots == 14


def test_a_run_knows_the_labels_where_its_terms_read_them(nli):
    nli["conditions"]["sft"] = {"terms": [{"objective": "cross_entropy"}]}
    study = load_study(nli)
    assert study.slices.run("student", "plural", "pbft", 0).labels == ("Yes", "No")
    assert study.slices.run("student", "plural", "sft", 0).labels is None


def test_alpha_divides_the_loss_between_the_teacher_and_the_correct_answer(nli):
    nli["conditions"]["distil"]["alpha"] = 0.25
    terms = load_study(nli).slices.run("student", "plural", "distil", 0).phases[0].terms
    assert [term.weight for term in terms] == [0.75, 0.5]


def test_without_alpha_the_weights_are_as_written(nli):
    terms = load_study(nli).slices.run("student", "plural", "distil", 0).phases[0].terms
    assert [term.weight for term in terms] == [1.0, 2.0]


def test_a_run_knows_its_head(nli):
    nli["conditions"]["vanilla"] = nli["conditions"]["pbft"] | {"head": "classification"}
    study = load_study(nli)
    heads = {c: study.slices.run("student", "plural", c, 0).head for c in ("vanilla", "pbft")}
    assert heads == {"vanilla": "classification", "pbft": "language"}


def test_bias_terms_are_an_adapter(nli):
    nli["conditions"]["pbft"]["adapter"] = {"kind": "bitfit"}
    run = load_study(nli).slices.run("student", "plural", "pbft", 0)
    assert run.adapter.kind == "bitfit"
    assert RunSlice.model_validate_json(run.model_dump_json()) == run


def test_a_condition_may_train_on_the_first_items_only(nli):
    nli["conditions"]["pbft"]["train_items"] = 16
    study = load_study(nli)
    assert study.slices.run("student", "plural", "pbft", 0).phases[0].train_items == 16
    assert study.slices.run("student", "plural", "distil", 0).phases[0].train_items == 160


def test_no_run_trains_on_more_items_than_there_are(nli):
    nli["conditions"]["pbft"]["train_items"] = 500
    study = load_study(nli)
    assert study.slices.run("student", "plural", "pbft", 0).phases[0].train_items == 160


def test_epochs_are_passes_over_the_items_of_a_condition(nli):
    """8 examples a step: 160 items are 20 steps, and 12 are one and a half."""
    del nli["training"]["steps"]
    nli["training"] |= {"epochs": 5, "checkpoints": [1, 5], "warmup_steps": 0.1}
    nli["conditions"]["pbft"]["train_items"] = 12
    slices = load_study(nli).slices
    runs = (slices.run("student", "plural", condition, 0) for condition in ("pbft", "distil"))
    few, all_items = (run.training for run in runs)
    assert (few.steps, few.checkpoints, few.warmup_steps) == (8, (2, 8), 1)
    assert (all_items.steps, all_items.checkpoints, all_items.warmup_steps) == (100, (20, 100), 10)


def test_epochs_that_end_in_one_step_are_one_checkpoint():
    training = TrainingSettings(epochs=4, checkpoints=(1, 2, 4), batch_size=8)
    assert in_steps(training, 2).checkpoints == (1,)
    assert in_steps(training, 4).checkpoints == (1, 2)


def test_steps_do_not_depend_on_the_items():
    training = TrainingSettings(steps=10, checkpoints=(5, 10), warmup_steps=3)
    run = in_steps(training, 2)
    assert run == in_steps(training, 500)
    assert (run.steps, run.checkpoints, run.warmup_steps) == (10, (5, 10), 3)


def test_what_a_choice_task_is_asked_does_not_depend_on_how_it_is_scored(nli):
    asked = []
    for scorer in ("likelihood", "choice"):
        nli["tasks"]["plural"]["scoring"] = {"scorer": scorer}
        asked.append(load_study(nli).slices.completion("student", "plural", 4))
    assert asked[0] == asked[1]
    assert asked[0].labels == ("Yes", "No")


# --- resources ----------------------------------------------------------------------------------


def test_a_search_trains_one_trial_after_another_on_one_gpu_at_most(config):
    config["resources"] = {"training": {"gpu": 2, "runtime": 30, "threads": 4}}
    rates = {"learning_rate": {"low": 1e-5, "high": 1e-3}}
    config["searches"] = {"rates": {"condition": "sft", "trials": 5, "fields": rates}}
    asked = load_study(config).resources.of("training", search="rates")
    assert (asked.gpu, asked.runtime, asked.threads) == (1, 150, 4)


def test_the_command_of_an_export_names_no_folder_above(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configs = [tmp_path / "config/mine.yaml", Path("/somewhere/else.yaml")]
    assert command_to_make("results/README.md", configs) == (
        "snakemake --cores all --configfile config/mine.yaml else.yaml -- results/README.md"
    )
    assert command_to_make("README.md", []) == "snakemake --cores all README.md"


def test_labels_and_texts_change_the_page_and_not_the_summary(config):
    config["comparisons"] = {"main": {"question": "?", "members": ["sft", "layerwise"]}}
    plain = load_study(copy.deepcopy(config)).slices
    config["models"]["smollm2-135m"]["label"] = "Another"
    config["conditions"]["sft"]["label"] = "fine-tuning"
    config["comparisons"]["main"]["members"] = {"sft": "plain", "layerwise": "layer by layer"}
    labelled = load_study(config).slices
    assert labelled.summary() == plain.summary()
    assert labelled.report() != plain.report()


def test_a_figure_has_the_group_that_its_path_names(config):
    slices = load_study(config).slices
    figure = slices.figure("smollm2-135m", "plural", "main/forest_plot")
    assert (figure.figure, figure.baseline) == ("forest_plot", "sft")
    assert figure.group is not None
    assert figure.group.name == "main"
    assert slices.figure("smollm2-135m", "plural", "icl_gap").group is None


@pytest.mark.parametrize(("checkpoints", "times"), [([1, 2, 3, 4], 1), ([1, 2, 3], 1), ([9], 3)])
def test_other_tasks_get_the_time_of_as_many_evaluations_of_their_own(mixed, checkpoints, times):
    """One task after two numbers of demonstrations and one after one, by one checkpoint."""
    mixed["tasks"]["second"]["shots"] = [0, 4]
    mixed["training"] |= {"epochs": None, "steps": 9, "checkpoints": checkpoints}
    slices = load_study(mixed).slices
    asked = slices.completions_elsewhere("smollm2-135m", "both")
    assert {task: len(several) for task, several in asked.items()} == {"other": 2, "second": 1}
    assert slices.evaluations_elsewhere("smollm2-135m", "both", "sft") == times


def test_a_task_without_a_reference_is_scored_without_agreement(mixed):
    """It is only evaluated on; those that are trained on must have one."""
    mixed["tasks"]["both"]["reference"] = "few-shot"
    mixed["evaluation"]["choose_by"] = "agreement"
    study = load_study(mixed)
    for task, choose_by, files in (("both", "agreement", 1), ("other", "accuracy", 0)):
        assert study.slices.prediction(task).choose_by == choose_by
        assert len(study.inputs.agreed("smollm2-135m", task)) == files
    assert study.inputs.agreed_elsewhere("smollm2-135m", "both") == []

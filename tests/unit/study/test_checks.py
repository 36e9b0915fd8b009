"""Sections of the config that do not fit each other."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import yaml

from tests.unit.models.test_wheels import NO_WHEELS
from tests.unit.study.conftest import refusal
from workflow_scripts.study.load import load_study

ROOT = Path(__file__).parents[3]


def test_zero_shots_are_required(config):
    config["shots"] = [8]
    assert refusal(config).startswith("shots: must contain 0")


def test_a_condition_may_not_be_named_as_a_base_result(config):
    config["conditions"]["8-shot"] = config["conditions"].pop("sft")
    assert refusal(config) == (
        "conditions.8-shot: `<k>-shot` is reserved for results of the base model; rename the "
        "condition"
    )


@pytest.mark.parametrize(("key", "value"), [("overflow", "exclude"), ("items", None)])
def test_a_model_is_pretrained_on_tasks_that_exist_before_it(config, key, value):
    data = config["tasks"]["plural"]["data"]
    config["tasks"]["other"] = copy.deepcopy(config["tasks"]["plural"])
    data |= {"choices": ["cats", "dogs"], key: value or data["items"] | {"train": 0}}
    config["models"]["small"] = {
        "source": "scratch:gpt2",
        "scratch": {
            "tasks": ["plural"],
            "vocabulary": 200,
            "layers": 1,
            "width": 8,
            "heads": 1,
            "steps": 1,
            "batch_size": 1,
            "learning_rate": 1e-3,
        },
    }
    reasons = {
        "overflow": "tasks.plural has `overflow: exclude`, which needs every model's tokenizer "
        "before the task exists; a model cannot be pretrained on it. Use `overflow: refuse` or "
        "another task",
        "items": "plural has no training items; set tasks.plural.data.items.train or use another "
        "task",
    }
    assert refusal(config) == f"models.small.scratch.tasks.0: {reasons[key]}"


def test_an_unknown_student_is_refused(config):
    config["students"] = ["smollm"]
    assert refusal(config) == "students.0: no model named 'smollm'; did you mean 'smollm2-135m'?"


def test_conditions_need_training_settings(config):
    del config["training"]
    assert refusal(config) == "training: is required if there are conditions"


def test_conditions_need_a_task_to_train_on(config):
    config["tasks"]["plural"]["data"]["items"]["train"] = 0
    assert refusal(config).startswith("tasks: none has training items for the conditions")


def test_some_transfer_target_must_be_evaluated_with_each_number_of_shots(mixed):
    mixed["evaluation"]["transfer_shots"] = [0, 4]
    assert refusal(mixed) == (
        "evaluation.transfer_shots: no task under `transfer` is evaluated with 4 shots; "
        "add 4 to its `shots`"
    )


def test_a_mixture_asks_all_its_tasks_in_one_way(mixed):
    mixed["tasks"]["second"]["prompt"] = {"question": "Well, {question}"}
    assert refusal(mixed) == "tasks.second.prompt: must equal `tasks.both.prompt`, its mixture's"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "items.jsonl"}, "tasks.both.data: `mixture` needs `source: mixture`"),
        ({"mixture": {"plural": 1}}, "tasks.both.data: `mixture` needs at least two tasks"),
        (
            {"mixture": None},
            "tasks.both.data: `source: mixture` needs `mixture`: its tasks and their weights",
        ),
        (
            {"overflow": "exclude"},
            "tasks.both.data: `overflow` is set by the mixture's tasks; remove it here",
        ),
        (
            {"mixture": {"plural": 1, "other": 1}},
            "tasks.both.data.mixture.other: the mixture takes 80 train items, but there are 0; "
            "raise tasks.other.data.items.train or lower the weight",
        ),
        (
            {"mixture": {"plural": 1, "both": 1}},
            "tasks.both.data.mixture.both: is itself a mixture; list its tasks instead",
        ),
        (
            {"mixture": {"plural": 1, "secnd": 1}},
            "tasks.both.data.mixture.secnd: no task named 'secnd'; did you mean 'second'?",
        ),
    ],
)
def test_a_mixture_that_cannot_be_made_is_refused(mixed, change, message):
    mixed["tasks"]["both"]["data"] |= change
    assert refusal(mixed) == message


def test_a_transfer_to_an_unknown_task_is_refused_with_the_nearest(config):
    config["transfer"] = {"plural": ["plurals"]}
    assert refusal(config) == "transfer.plural.0: no task named 'plurals'; did you mean 'plural'?"


def test_nothing_transfers_from_a_task_without_training(config):
    config["tasks"]["other"] = copy.deepcopy(config["tasks"]["plural"])
    config["tasks"]["other"]["data"]["items"]["train"] = 0
    config["transfer"] = {"other": ["plural"]}
    assert refusal(config).startswith("transfer.other: other has no training items")


def test_a_retained_task_must_be_known_and_one_that_some_run_is_not_trained_on(mixed):
    mixed["retention"] = ["othr"]
    assert refusal(mixed) == "retention.0: no task named 'othr'; did you mean 'other'?"
    mixed["retention"] = ["other", "second"]
    assert refusal(mixed) == (
        "retention.1: no run is trained on a task without second, so none can forget it; remove "
        "it, or train on another task"
    )


def test_nothing_is_forgotten_where_nothing_is_trained(config):
    del config["conditions"], config["training"], config["teachers"]
    config["tasks"]["other"] = copy.deepcopy(config["tasks"]["plural"])
    config["retention"] = ["other"]
    assert refusal(config).startswith("retention.0: no run is trained on a task without other")


@pytest.mark.parametrize("teacher", [{"shots": 8}, {"system": "Answer."}])
def test_a_shift_starts_from_a_teacher_without_context(config, teacher):
    config["teachers"]["shown"] = teacher
    term = config["conditions"]["layerwise"]["terms"][1]
    term |= {"objective": "delta_hidden", "reference": "shown"}
    assert refusal(config) == (
        "conditions.layerwise.terms.1.reference: 'shown' must be a teacher without context"
    )


def test_a_batch_that_the_training_gpus_cannot_share_is_refused(config):
    config["resources"] = {"training": {"gpu": 3}}
    assert refusal(config) == (
        "training.batch_size: the 8 examples of a step are no multiple of 3 GPUs, "
        "which train smollm2-135m"
    )


def test_micro_batches_that_the_training_gpus_cannot_share_are_refused(config):
    config["models"]["smollm2-135m"] |= {
        "micro_batch_size": 8,
        "resources": {"training": {"gpu": 2}},
    }
    assert refusal(config) == (
        "models.smollm2-135m.micro_batch_size: the 8 examples of a step are no multiple of "
        "2 GPUs × 8 in a forward pass, which train smollm2-135m"
    )


def test_a_group_of_an_unknown_result_is_refused(config):
    config["comparisons"] = {"main": {"question": "?", "members": ["sft", "layerwize"]}}
    assert refusal(config) == (
        "comparisons.main.members: no result named 'layerwize'; did you mean 'layerwise'?"
    )


def test_a_drift_figure_without_representations_is_refused(config):
    members = ["sft", "layerwise"]
    config["comparisons"] = {"main": {"question": "?", "members": members, "figures": ["drift"]}}
    assert "need the section `representations`" in refusal(config)
    config["representations"] = {}
    assert load_study(config).groups.of_pair("smollm2-135m", "plural")


def test_targets_that_need_more_disk_than_allowed_are_refused_with_the_number(config):
    """160 items of at most 12 tokens, 256 logits with index each and two normalisers: 4 MB."""
    config["models"]["smollm2-135m"] |= {"layers": 30, "width": 576}
    config["max_target_gb"] = 0.004
    said = refusal(config)
    assert said.startswith(
        "max_target_gb: teacher targets may need 0.0 GB of disk, more than 0.004, "
    )
    assert "for results/demo/smollm2-135m/plural/teachers/few-shot/" in said


def test_states_of_every_answer_token_are_refused_before_anything_runs():
    config = yaml.safe_load((ROOT / "config/experiments/qwen3-gsm8k.yaml").read_text())
    hidden = config["conditions"]["layerwise"]["terms"][1]
    config["conditions"]["whole-answer"] = {
        "teacher": "few-shot",
        "terms": [config["conditions"]["sft"]["terms"][0], hidden | {"position": "answer"}],
    }
    assert re.search(r"may need 1,824.4 GB of disk, more than 500, 1,087.2 GB for", refusal(config))


def test_label_terms_need_labels(config):
    config["conditions"]["sft"]["terms"] = [{"objective": "label_cross_entropy"}]
    assert refusal(config) == (
        "conditions.sft.terms.0: label_cross_entropy needs labels, but tasks.plural.data has "
        "neither `choices` nor `verbalizers`"
    )


def test_a_classification_head_transfers_to_the_same_labels_only(transferred):
    load_study(transferred)
    transferred["conditions"]["pbft"]["head"] = "classification"
    assert refusal(transferred) == (
        "transfer.plural.0: pbft has a classification head for ('Yes', 'No'), but other has "
        "('No', 'Yes'); give both the same labels in one order"
    )
    transferred["transfer"], transferred["retention"] = {}, ["other"]
    assert refusal(transferred).startswith("retention.0: pbft has a classification head for (")


def test_an_unknown_teaching_model_is_refused_with_the_nearest(nli):
    nli["teachers"]["larger"]["model"] = "largest"
    assert refusal(nli) == "teachers.larger.model: no model named 'largest'; did you mean 'larger'?"


def test_hidden_states_of_another_model_are_refused(nli):
    hidden = {"objective": "hidden", "weight": 1, "site": "block", "layers": "all"}
    hidden |= {"position": "query", "normalize": True, "reduction": "sum"}
    nli["conditions"]["layerwise"] = {"teacher": "larger", "terms": [hidden]}
    assert refusal(nli) == (
        "conditions.layerwise.terms.0: hidden compares states of one model, but teacher 'larger' "
        "of student is larger; use logit or label terms"
    )
    nli["students"] = ["larger"]
    load_study(nli)


def test_the_disk_that_a_target_needs_is_that_of_the_model_that_teaches(nli):
    logits = {"objective": "logit_kl", "weight": 1, "position": "prompt", "temperature": 1}
    nli["conditions"]["distil"]["terms"] = [logits | {"top_k": 250, "reduction": "mean"}]
    nli["models"]["larger"] |= {"layers": 24, "width": 2048}
    nli["models"]["student"]["layers"] = None
    nli["max_target_gb"] = 0.0003
    assert "for results/demo/larger/plural/teachers/larger/logits-prompt" in refusal(nli)


LABELS = ["cats", "dogs"]
ENCODER = {"source": "models/roberta"}


@pytest.mark.parametrize(
    ("data", "scoring", "message"),
    [
        ({}, {"scorer": "wrd"}, "scorer: no scorer named 'wrd'; did you mean 'word'?"),
        (
            {},
            {"scorer": "likelihood"},
            "scorer: `likelihood` needs labels; set `data.choices` or `data.verbalizers`",
        ),
        (
            {"choices": LABELS},
            {"scorer": "rouge"},
            "scorer: `rouge` is for free text, but the task has labels; use `choice` or "
            "`likelihood`",
        ),
        (
            {},
            {"scorer": "coverage"},
            "scorer: `coverage` needs `data.fields.references`, the column of the texts it looks "
            "for",
        ),
        (
            {},
            {"scorer": "components"},
            "scorer: `components` is for mixtures only; use another scorer",
        ),
        (
            {},
            {"scorer": "bert_score"},
            "scorer: `bert_score` needs `scoring.encoder`, a BERT-like model",
        ),
        (
            {},
            {"scorer": "word", "encoder": ENCODER},
            "scorer: `word` has no encoder; remove `encoder`, or use `bert_score`",
        ),
    ],
)
def test_a_scorer_fits_its_task(config, data, scoring, message):
    task = config["tasks"]["plural"]
    task["data"] |= data
    task["scoring"] = scoring
    assert refusal(config) == f"tasks.plural.scoring.{message}"


def test_a_mixture_is_scored_by_its_tasks(mixed):
    mixed["tasks"]["both"]["scoring"]["scorer"] = "word"
    assert refusal(mixed) == (
        "tasks.both.scoring.scorer: a mixture is scored by its tasks; use `components`"
    )


def test_a_source_in_the_home_of_a_user_without_one_is_refused(config, monkeypatch):
    config["tasks"]["plural"]["data"]["source"] = "~/plural.jsonl"
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 61003)
    assert refusal(config) == (
        "tasks.plural.data.source: ~/plural.jsonl: `~` is not known, as HOME is not set and this "
        "user has no entry in the password file; set HOME, or write the path out"
    )


# a path with a line break is refused before it is looked at
@pytest.mark.parametrize("requirement", [name for name in NO_WHEELS if "\n" not in name])
def test_a_wheel_is_a_name_and_a_version(config, requirement):
    source = f"wheel:{requirement}"
    config["models"]["other"] = {"source": source, "file": "a.gguf", "sha256": "0" * 64}
    assert refusal(config) == (
        "models.other.source: must be wheel:<package>==<version>, a name on a package index and "
        f"one version of it (given: {source!r})"
    )


# --- plans that cannot be -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["report.html", "summary.md", "icl_gap.csv", "logs", "Tasks"])
def test_a_model_is_not_named_as_what_lies_beside_its_folder(config, name):
    config["models"] = {name: config["models"]["smollm2-135m"]}
    assert refusal(config) == (
        f"models.{name}: is reserved for a file or folder of the results; rename the model"
    )


def test_a_task_is_not_named_as_a_table(config):
    config["tasks"] = {"domains.csv": config["tasks"]["plural"]}
    assert refusal(config).startswith("tasks.domains.csv: `.csv` is reserved")


@pytest.mark.parametrize("name", ["icl_gap.png", "icl_gap.log"])
def test_a_group_is_not_named_as_a_file_of_a_figure(config, name):
    config["comparisons"] = {name: {"question": "Which?", "members": ["0-shot", "sft"]}}
    assert refusal(config).startswith(f"comparisons.{name}: `.{name[-3:]}` is reserved")


@pytest.mark.parametrize(("results", "experiment"), [("resources", "models"), (".", "resources")])
def test_results_do_not_lie_among_the_fetched_models(config, results, experiment):
    config |= {"results": results, "experiment": experiment}
    assert refusal(config).startswith(f"results: {Path(results, experiment)} and resources/models")


def test_a_target_has_ten_thousand_shards_at_most(config):
    items = config["tasks"]["plural"]["data"]["items"]
    config["teacher_pass"] = {"shard_size": 1}
    items["train"] = 10_000
    assert load_study(config)
    items["train"] = 10_001
    assert refusal(config) == (
        "teacher_pass.shard_size: 10,001 items of tasks.plural would be 10,001 shards, more than "
        "10,000; raise it"
    )


@pytest.mark.parametrize("declared", [False, True])
def test_a_group_of_very_many_pairs_is_refused(config, declared):
    config["conditions"] |= {f"sft-{n}": config["conditions"]["sft"] for n in range(2000)}
    members = ["0-shot", *config["conditions"]]
    if declared:
        config["comparisons"] = {"all": {"question": "Which?", "members": members}}
    path, name, count = (
        ("comparisons.all", "all", 2006) if declared else ("comparisons", "main", 2007)
    )
    assert refusal(config) == (
        f"{path}: {count:,} members of '{name}' are {count * (count - 1) // 2:,} pairs, more than "
        "10,000; set `design: first`, or compare fewer"
    )
    if declared:
        config["comparisons"]["all"]["design"] = "first"
        assert load_study(config)


def test_a_file_with_braces_in_a_tasks_folder_is_refused_and_other_files_are_not_read(
    config, tmp_path
):
    (tmp_path / "train.jsonl").touch()
    (tmp_path / "notes {draft}.txt").touch()
    config["tasks"]["plural"]["data"]["source"] = str(tmp_path)
    assert load_study(config).inputs.source_files("plural") == [str(tmp_path / "train.jsonl")]
    (tmp_path / "te{s}t.jsonl").touch()
    told = refusal(config)
    assert told.startswith("tasks.plural.data.source: '")
    assert told.endswith("has braces or a line break in its name; rename it")


# --- results that were made elsewhere -----------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "smollm"}, "model: no model named 'smollm'; did you mean 'smollm2-135m'?"),
        ({"task": "plurals"}, "task: no task named 'plurals'; did you mean 'plural'?"),
        ({"name": "sft"}, "name: conditions.sft has this name; rename it"),
        ({"name": "few-shot"}, "name: teachers.few-shot has this name; rename it"),
        (
            {"name": "8-shot"},
            "name: `<k>-shot` is reserved for results of the base model and `~` for variants of a "
            "sweep; rename it",
        ),
        (
            {"file": "absent.jsonl"},
            "file: 'absent.jsonl' is no file; paths begin where snakemake runs",
        ),
        (
            {"files": ["a", "b"]},
            "files: must be one for each of the study's 1 `seeds` (given: 2); give as many, or "
            "one as `file`",
        ),
    ],
)
def test_a_foreign_result_that_does_not_fit_is_refused(foreign, change, told):
    entry = foreign["results_from"][0]
    entry |= change
    if "files" in change:
        del entry["file"]
    assert refusal(foreign) == f"results_from.0.{told}"


def test_a_foreign_result_has_one_file_or_one_for_each_seed(foreign):
    for change in ({"file": None}, {"files": ["a"]}):
        foreign["results_from"][0] |= change
        assert refusal(foreign) == (
            "results_from.0: give `file`, or `files` with one for each seed"
        )
        foreign["results_from"][0]["file"] = __file__


def test_two_foreign_results_of_one_name_on_a_task_are_refused(foreign):
    foreign["results_from"].append(dict(foreign["results_from"][0]))
    assert refusal(foreign) == (
        "results_from.1.name: results_from.0 has this name on plural too; rename one, or give the "
        "files of several seeds as `files`"
    )
    foreign["tasks"]["second"] = copy.deepcopy(foreign["tasks"]["plural"])
    foreign["results_from"][1]["task"] = "second"
    assert load_study(foreign)


def test_a_group_may_name_a_foreign_result(foreign):
    group = {"question": "Ours or theirs?", "members": ["sft", "theirs"]}
    foreign["comparisons"] = {"main": group}
    assert load_study(foreign)
    group["members"] = ["sft", "theires"]
    assert refusal(foreign).endswith("no result named 'theires'; did you mean 'theirs'?")


def test_a_model_elsewhere_needs_results(alone):
    alone["models"]["other"] = {"source": "elsewhere"}
    assert refusal(alone) == (
        "models.other.source: other does not run here and has no result under `results_from`; "
        "give one, or its source"
    )


def test_a_model_elsewhere_neither_trains_nor_teaches(foreign):
    foreign["models"]["theirs"] = {"source": "elsewhere"}
    foreign["results_from"][0]["model"] = "theirs"
    assert load_study(foreign).matrix.students == ("smollm2-135m",)
    foreign["teachers"]["few-shot"]["model"] = "theirs"
    told = "theirs has `source: elsewhere` and does not run here; give its source"
    assert refusal(foreign) == f"teachers.few-shot.model: {told}"
    foreign["students"] = ["theirs"]
    assert refusal(foreign) == f"students.0: {told}"


def test_a_study_that_trains_needs_a_model_that_runs_here(alone):
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    alone |= {key: config[key] for key in ("conditions", "training", "teachers")}
    assert refusal(alone) == (
        "conditions: no model runs here to be trained; remove them, or give a source"
    )


def test_shots_are_required_where_a_model_runs(config):
    del config["shots"]
    assert refusal(config).startswith("shots: must contain 0")

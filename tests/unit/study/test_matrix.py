"""Which results there are, of which models, tasks and conditions."""

from __future__ import annotations

import copy
from pathlib import Path

import yaml

from workflow_scripts.study.load import load_study
from workflow_scripts.training.terms import targets_of

ROOT = Path(__file__).parents[3]


def test_parts_are_known_from_the_config(config):
    config["teacher_pass"] = {"shard_size": 50}
    supervision = load_study(config).supervision
    target, *_ = supervision.targets_of("smollm2-135m", "plural")
    assert supervision.shards_of(target) == ["0000", "0001", "0002", "0003"]


def test_conditions_that_read_the_same_target_share_it(config):
    again = copy.deepcopy(config["conditions"]["layerwise"])
    again["terms"][1] |= {"layers": "early", "weight": 2.0}
    config["conditions"]["early"] = again
    conditions = load_study(config).experiment.conditions
    early, layerwise = conditions["early"], conditions["layerwise"]
    assert targets_of(early.terms, "few-shot") == targets_of(layerwise.terms, "few-shot")


def test_a_temperature_makes_another_target(config):
    config["conditions"]["answer-kl"]["terms"][1]["temperature"] = 1
    targets = load_study(config).supervision.targets_of("smollm2-135m", "plural")
    assert [(target.teacher, target.name) for target in targets] == [
        ("few-shot", "hidden-block-query"),
        ("few-shot", "logits-prompt-top256-t2"),
        ("few-shot", "logits-answer-top256-t1"),
        ("zero-shot", "logits-answer-top256-t2"),
    ]


def test_a_model_that_is_no_student_is_only_in_the_gap(config):
    config["models"]["other"] = {"source": "some/folder"}
    config["students"] = ["smollm2-135m"]
    study = load_study(config)
    assert study.matrix.conditions_of("other", "plural") == []
    assert study.supervision.targets_of("other", "plural") == ()


def test_an_experiment_may_measure_gaps_only(config):
    del config["conditions"], config["training"], config["teachers"]
    assert load_study(config).matrix.conditions_of("smollm2-135m", "plural") == []


def test_a_condition_may_train_some_students_only(config):
    config["models"]["other"] = {"source": "some/folder"}
    config["conditions"]["sft"]["models"] = ["other"]
    study = load_study(config)
    assert "sft" not in study.matrix.conditions_of("smollm2-135m", "plural")
    assert "sft" in study.matrix.conditions_of("other", "plural")


def test_transfer_pairs_runs_with_other_tasks(config):
    config["tasks"]["other"] = copy.deepcopy(config["tasks"]["plural"])
    config["tasks"]["other"]["data"]["items"]["train"] = 0
    config["transfer"] = {"plural": ["other"]}
    study = load_study(config)
    assert study.matrix.transfers_to("smollm2-135m", "other") == [
        ("plural", condition) for condition in study.experiment.conditions
    ]
    assert study.matrix.transfers_to("smollm2-135m", "plural") == []


def test_transferred_results_are_there_after_each_number_of_demonstrations(mixed):
    results = load_study(mixed).matrix.names_of("smollm2-135m", "other")
    own = [name for name in results if name.startswith("sft@")]
    assert own == ["sft@both", "sft@both@8-shot"]


def test_what_a_transferred_run_was_shown_is_no_support(mixed):
    matrix = load_study(mixed).matrix
    after, without = matrix.support("other", "sft@both@8-shot"), matrix.support("other", "sft@both")
    assert after == without


def test_transferred_runs_are_shown_what_the_base_model_is(mixed):
    mixed["tasks"]["second"]["shots"] = [0, 4]
    results = load_study(mixed).matrix.names_of("smollm2-135m", "second")
    assert [name for name in results if name.startswith("sft@")] == ["sft@both"]


def test_parts_of_a_mixture_are_in_its_domain_and_other_tasks_are_not(mixed):
    study = load_study(mixed)
    found = {domain.name: domain.tasks for domain in study.matrix.domains_of("smollm2-135m")}
    assert found == {"in": ("second",), "out": ("other",)}


def test_without_transfers_of_a_mixture_there_are_no_domains(mixed):
    mixed["transfer"] = {"plural": ["other"]}
    assert load_study(mixed).matrix.models_with_domains == []


def test_the_run_that_is_evaluated_twice_is_the_baseline_or_the_first(config):
    (run,) = load_study(config).matrix.repeated_runs_of("smollm2-135m", "plural")
    assert (run.condition, run.seed) == ("sft", 0)
    config["analysis"] = {"baseline": "none"}
    config["conditions"] = dict(reversed(config["conditions"].items()))
    first = next(iter(config["conditions"]))
    (run,) = load_study(config).matrix.repeated_runs_of("smollm2-135m", "plural")
    assert (run.condition, run.seed) == (first, 0)


def test_targets_lie_under_the_model_that_teaches(nli):
    self_taught = copy.deepcopy(nli["conditions"]["distil"]) | {"teacher": "self"}
    nli["conditions"]["self-distil"] = self_taught
    study = load_study(nli)
    assert study.matrix.teaching_model("larger", "student") == "larger"
    assert study.matrix.teaching_model("self", "student") == "student"
    (of_larger,) = study.supervision.targets_of("larger", "plural")
    (of_student,) = study.supervision.targets_of("student", "plural")
    assert of_larger.folder.endswith("/larger/plural/teachers/larger/")
    assert of_student.folder.endswith("/student/plural/teachers/self/")


def test_students_share_the_targets_of_one_teacher(nli):
    nli["models"]["second"] = copy.deepcopy(nli["models"]["student"])
    nli["students"] = ["student", "second"]
    study = load_study(nli)
    assert len(study.supervision.targets_of("larger", "plural")) == 1
    assert study.supervision.targets_of("second", "plural") == ()


def test_support_is_what_is_shown_or_trained_on(transferred):
    transferred["conditions"]["pbft"]["train_items"] = 16
    study = load_study(transferred)
    assert study.matrix.support("plural", "8-shot") == 8
    assert study.matrix.support("plural", "pbft") == 16
    assert study.matrix.support("plural", "distil") == 160
    assert study.matrix.support("other", "pbft@plural") == 16
    assert study.matrix.support("other", "distil@plural") == 160


def test_choice_tasks_are_those_answered_with_a_label(nli):
    scoring = nli["tasks"]["plural"]["scoring"]
    for scorer, found in (("likelihood", ["plural"]), ("choice", ["plural"]), ("word", [])):
        scoring["scorer"] = scorer
        assert [name for name in load_study(nli).matrix.choice_tasks if name == "plural"] == found


def test_runs_are_trained_on_a_mixture_and_not_on_its_parts(mixed):
    matrix = load_study(mixed).matrix
    trained = {task for task in mixed["tasks"] if matrix.runs_of("smollm2-135m", task)}
    assert trained == {"both"}


def test_both_alignments_of_sorted_logits_read_one_target(config):
    uld = {"objective": "uld", "weight": 0.5}
    for name, term in (("index", uld), ("text", uld | {"alignment": "text"})):
        config["conditions"][name] = {"teacher": "few-shot", "terms": [term]}
    supervision = load_study(config).supervision
    pair = ("smollm2-135m", "plural")
    by_index, by_text = (supervision.read_by(*pair, name, 0, None) for name in ("index", "text"))
    assert by_index == by_text
    assert len(by_index[0]) == 1


def test_the_study_of_gsm8k_sweeps_weights_reductions_and_the_teachers_of_its_controls():
    config = yaml.safe_load((ROOT / "config/experiments/qwen3-gsm8k.yaml").read_text())
    study = load_study(config)
    controls = ("zero-shot", "shuffled", "question-only")
    assert {name for name in study.experiment.conditions if "~" in name} == {
        *(f"layerwise~weight={weight}" for weight in ("0.1", "1", "2")),
        "layerwise~reduction=mean",
        *(
            f"{condition}~teacher={teacher}"
            for condition in ("layerwise", "answer-kl", "answer-mse")
            for teacher in controls
        ),
    }
    for teacher in controls:
        read = {
            target.teacher
            for condition in ("layerwise", "answer-kl", "answer-mse")
            for (target,) in study.supervision.read_by(
                study.matrix.students[0], "gsm8k", f"{condition}~teacher={teacher}", 0, None
            )
        }
        assert read == {teacher}


def test_a_retained_task_is_answered_without_demonstrations_by_the_runs_on_every_other(mixed):
    mixed["transfer"], mixed["retention"] = {}, ["other"]
    del mixed["evaluation"]
    matrix = load_study(mixed).matrix
    assert matrix.transfers_from("both") == {"other": (0,)}
    own = [name for name in matrix.names_of("smollm2-135m", "other") if "sft" in name]
    assert own == ["sft@both"]
    assert matrix.domains_of("smollm2-135m") == []


def test_a_task_that_some_runs_are_trained_on_is_retained_by_the_others(config):
    config["tasks"]["other"] = copy.deepcopy(config["tasks"]["plural"])
    config["retention"] = ["plural"]
    matrix = load_study(config).matrix
    assert (matrix.transfers_from("other"), matrix.transfers_from("plural")) == (
        {"plural": (0,)},
        {},
    )
    assert matrix.pairs_with_retention == [("smollm2-135m", "other")]


def test_retention_adds_to_transfers_what_they_lack(mixed):
    mixed["transfer"] = {"both": ["second"]}
    mixed["retention"] = ["other"]
    transfers = load_study(mixed).matrix.transfers_from("both")
    assert transfers == {"second": (0, 8), "other": (0,)}
    mixed["transfer"] = {"both": ["other", "second"]}
    assert load_study(mixed).matrix.transfers_from("both")["other"] == (0, 8)


def test_a_tuned_condition_has_a_result_for_each_seed_and_draw(config):
    """Also where some of its candidates depend on no demonstrations: these are in every draw."""
    values = ["few-shot", "zero-shot"]
    sweep = {"condition": "answer-kl-zero-shot", "field": "teacher", "values": values}
    config |= {"seeds": [0, 1], "draws": 2, "sweeps": [sweep | {"choose": True}]}
    matrix = load_study(config).matrix
    name = "answer-kl-zero-shot"
    results = matrix.results_of("smollm2-135m", "plural")
    tuned = [result for result in results if result.name == f"{name}~tuned"]
    assert [(each.draw, each.seed) for each in tuned] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    runs = matrix.candidate_runs_of("smollm2-135m", "plural", name, 1, 1)
    assert [(run.name, run.seed, run.draw) for run in runs] == [
        (name, 1, None),
        (f"{name}~teacher=few-shot", 1, 1),
    ]


def test_a_tuned_condition_needs_the_labels_of_its_hungriest_candidate(config):
    sweep = {"condition": "sft", "field": "train_items", "values": [8], "choose": True}
    matrix = load_study(config | {"sweeps": [sweep]}).matrix
    assert matrix.support("plural", "sft~train_items=8") == 8
    assert matrix.support("plural", "sft~tuned") == 160


def test_tuned_results_are_not_trained(config):
    sweep = {"condition": "sft", "field": "learning_rate", "values": [1e-3], "choose": True}
    matrix = load_study(config | {"sweeps": [sweep]}).matrix
    assert matrix.is_trained("sft~tuned")
    assert "sft~tuned" not in [run.name for run in matrix.runs_of("smollm2-135m", "plural")]


def test_a_foreign_result_is_one_of_its_model_and_task(foreign):
    matrix = load_study(foreign).matrix
    assert "theirs" in matrix.names_of("smollm2-135m", "plural")
    (own,) = matrix.foreign_of("smollm2-135m", "plural")
    assert (own.name, own.seed) == ("theirs", None)
    assert own not in matrix.evaluated_of("smollm2-135m", "plural")
    assert matrix.support("plural", "theirs") is None


def test_the_files_of_a_foreign_result_are_the_studys_seeds(foreign):
    entry = foreign["results_from"][0]
    entry["files"] = [entry.pop("file"), __file__]
    foreign["seeds"] = [3, 7]
    study = load_study(foreign)
    results = study.matrix.foreign_of("smollm2-135m", "plural")
    assert [(own.number, own.seed) for own in results] == [(0, 3), (1, 7)]
    assert study.inputs.foreign_file("smollm2-135m", "plural", "theirs", 1) == [__file__]


def test_a_model_elsewhere_runs_nothing_here(alone):
    study = load_study(alone)
    assert study.matrix.names == ["theirs", "others"]
    assert study.inputs.models() == study.matrix.fetched_models == []
    (group,) = study.groups.all.values()
    assert (group.question, group.members) == ("Which results differ?", ("theirs", "others"))


def test_a_group_of_a_sweep_may_hold_a_foreign_result(foreign):
    sweep = {"condition": "sft", "field": "train_items", "values": [8]}
    foreign["sweeps"] = [sweep]
    members = ["sft", "sft~train_items=8", "theirs"]
    foreign["comparisons"] = {"size": {"question": "How many?", "members": members}}
    values = load_study(foreign).groups.swept_values(members, "plural")
    assert list(values) == ["sft", "sft~train_items=8"]

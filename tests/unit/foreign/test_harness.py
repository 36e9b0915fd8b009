from __future__ import annotations

import json
import re
import shutil

import pytest

from workflow_scripts.foreign.readers import read_results
from workflow_scripts.runtime.errors import InputError


@pytest.fixture
def own(tmp_path, float32):
    """A file of samples with these lines, without the results beside it."""

    def write(change):
        lines = [json.loads(line) for line in float32.read_text().splitlines()]
        path = tmp_path / float32.name
        path.write_text("".join(json.dumps(line) + "\n" for line in change(lines)))
        return path

    return write


def test_the_mean_is_the_one_that_the_harness_reports(float32, colours):
    summary = json.loads(next(float32.parent.glob("results_*.json")).read_text())["results"]
    for path, metric in ((float32, "exact_match,strict-match"), (colours, "acc_norm,none")):
        (result,) = read_results(path, [metric])
        assert result.rows["score"].mean() == summary[result.task][metric]
        assert len(result.rows) == 16


@pytest.mark.parametrize("asked", ["strict-match", "exact_match,strict-match"])
def test_a_filter_is_enough_where_it_leaves_one_metric_of_items(float32, asked):
    assert read_results(float32, [asked])[0].metric == "exact_match,strict-match"


def test_several_filters_are_listed_without_the_metric_of_all_documents(float32):
    listed = "'exact_match,strict-match' or 'exact_match,flexible-extract'"
    for asked in ([], ["exact_match"]):
        with pytest.raises(InputError, match=f"choose a metric: {listed}$"):
            read_results(float32, asked)


@pytest.mark.parametrize("asked", ["bleu", "bleu,strict-match"])
def test_a_metric_of_all_documents_together_is_refused(float32, asked):
    with pytest.raises(InputError, match="bleu,strict-match: computed from all items together"):
        read_results(float32, [asked])


def test_perplexities_are_refused_unasked(perplexities):
    with pytest.raises(InputError, match=r"word_perplexity,none and .* from all items together"):
        read_results(perplexities)


def test_a_perplexity_that_is_a_number_is_refused_too(own):
    path = own(
        lambda lines: [line | {"metrics": ["perplexity"], "perplexity": -4} for line in lines]
    )
    with pytest.raises(InputError, match="from all items together"):
        read_results(path)


def test_a_line_that_was_cut_is_refused(tmp_path, float32):
    path = tmp_path / float32.name
    path.write_bytes(float32.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"line \d: the file was cut inside it; copy"):
        read_results(path, ["strict-match"])


def test_a_file_that_was_cut_between_lines_is_refused_by_the_results_beside_it(tmp_path, float32):
    folder = shutil.copytree(float32.parent, tmp_path / "run")
    path = folder / float32.name
    path.write_text("".join(float32.read_text().splitlines(keepends=True)[:12]))
    with pytest.raises(InputError, match="holds 12 of 16 documents, so it was cut"):
        read_results(path, ["strict-match"])


def test_a_document_that_is_there_twice_is_refused(own):
    with pytest.raises(InputError, match="item 0 is there twice; give each item one row"):
        read_results(own(lambda lines: [*lines, lines[0]]), ["strict-match"])


def test_a_score_in_percent_is_refused(own):
    path = own(lambda lines: [line | {"exact_match": 100.0} for line in lines])
    with pytest.raises(InputError, match=re.escape("exact_match,strict-match 100.0, but a score")):
        read_results(path, ["strict-match"])


def test_an_old_version_writes_a_list_without_hashes(old_colours, colours):
    """lm-evaluation-harness 0.4.2: one indented list in a file named `.jsonl`."""
    (old,), (new,) = read_results(old_colours, ["acc"]), read_results(colours, ["acc"])
    assert old.metric == "acc,none"
    assert old.rows["score"].sum() == 6
    hashes = ["item", "question", "content", "target"]
    assert old.rows[hashes].equals(new.rows[hashes])
    assert old.rows["prompt"].notna().all()


def test_an_old_file_that_was_cut_is_refused(tmp_path, old_colours):
    path = tmp_path / "cut.jsonl"
    path.write_text(old_colours.read_text()[:9000])
    with pytest.raises(InputError, match="the file was cut inside it"):
        read_results(path, ["acc"])


def test_hashes_of_prompts_are_the_harness_s_own(float32):
    lines = [json.loads(line) for line in float32.read_text().splitlines()]
    (result,) = read_results(float32, ["strict-match"])
    assert result.rows["prompt"].tolist() == [line["prompt_hash"] for line in lines[:16]]


def test_answers_and_what_the_filter_read_are_kept(float32, colours):
    (result,) = read_results(float32, ["strict-match"])
    assert result.rows[["answer", "read"]].iloc[0].tolist() == [" 9", "9"]
    # likelihoods of labels are no answers
    (result,) = read_results(colours, ["acc,none"])
    assert result.rows[["answer", "read"]].isna().all(axis=None)

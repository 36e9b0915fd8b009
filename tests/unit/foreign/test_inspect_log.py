from __future__ import annotations

import json
import zipfile

import pytest

from workflow_scripts.foreign.readers import read_results
from workflow_scripts.runtime.errors import InputError


@pytest.fixture
def changed(tmp_path, one_wrong):
    """The log after a change; its samples are in the order of their ids as texts."""

    def write(change):
        log = json.loads(one_wrong.read_text())
        change(log)
        path = tmp_path / "log.json"
        path.write_text(json.dumps(log))
        return path

    return write


def test_grades_are_scores(seven_wrong, one_wrong):
    (first,), (second,) = read_results(seven_wrong), read_results(one_wrong)
    assert first.rows["score"].sum() == 9
    assert second.rows["score"].sum() == 15
    assert first.rows["seed"].isna().all()
    assert (first.name, first.task, first.metric) == ("mockllm/model", "sums", "match")


def test_both_formats_hash_the_same(seven_wrong, one_wrong):
    (first,), (second,) = read_results(seven_wrong), read_results(one_wrong)
    hashes = ["question", "content", "prompt", "target"]
    one, other = (result.rows.set_index("item").sort_index() for result in (first, second))
    assert one[hashes].equals(other[hashes])
    assert one["prompt"].notna().all()


def test_epochs_are_seeds(three_epochs):
    (result,) = read_results(three_epochs)
    assert len(result.rows) == 48
    assert sorted(result.rows["seed"].unique()) == [1, 2, 3]


def test_the_members_are_compressed_by_zstandard(seven_wrong):
    """What `zipfile` refuses before Python 3.14; if it changes, our own reader can go."""
    with zipfile.ZipFile(seven_wrong) as archive:
        assert {member.compress_type for member in archive.infolist()} == {93}


def test_a_zip_without_zstandard_is_read(tmp_path, seven_wrong):
    from workflow_scripts.foreign.inspect_log import _read_zip

    header, samples = _read_zip(seven_wrong)
    path = tmp_path / "plain.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for sample in samples:
            archive.writestr(f"samples/{sample['id']}_epoch_1.json", json.dumps(sample))
        archive.writestr("header.json", json.dumps(header))
    assert read_results(path)[0].rows.equals(read_results(seven_wrong)[0].rows)


def test_several_scorers_are_listed(two_scorers):
    with pytest.raises(InputError, match="holds 2 metrics; choose a metric: 'match' or 'f1'"):
        read_results(two_scorers)
    assert read_results(two_scorers, ["f1"])[0].rows["score"].sum() == 15


def test_a_key_of_a_scorer_with_several_values_is_chosen(changed):
    def change(log):
        for sample in log["samples"]:
            sample["scores"]["match"]["value"] = {"exact": "C", "near": 0.25}

    assert read_results(changed(change), ["match.near"])[0].rows["score"].eq(0.25).all()


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_log_that_was_cut_is_refused(tmp_path, seven_wrong, one_wrong, share):
    for whole in (seven_wrong, one_wrong):
        path = tmp_path / whole.name
        path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
        with pytest.raises(InputError, match="the log was cut or is damaged; copy the file again"):
            read_results(path)


def test_a_damaged_member_is_refused(tmp_path, seven_wrong):
    content = bytearray(seven_wrong.read_bytes())
    content[600] ^= 0xFF
    with zipfile.ZipFile(seven_wrong) as archive:
        place = archive.getinfo("samples/sum-3_epoch_1.json").header_offset
    content[place + 90] ^= 0xFF
    path = tmp_path / "damaged.eval"
    path.write_bytes(content)
    with pytest.raises(InputError, match="was cut or is damaged"):
        read_results(path)


def test_an_unfinished_evaluation_is_refused(changed):
    with pytest.raises(InputError, match=r"did not finish \(status cancelled\); finish it with"):
        read_results(changed(lambda log: log.update(status="cancelled")))


def test_a_log_without_its_samples_is_refused(changed):
    with pytest.raises(InputError, match="holds 3 of 16 samples"):
        read_results(changed(lambda log: log.update(samples=log["samples"][:3])))


def test_a_sample_whose_evaluation_failed_is_named(changed):
    (result,) = read_results(changed(lambda log: log["samples"][4].pop("scores")))
    assert result.unscored == ("sum-12",)
    assert len(result.rows) == 15


def test_what_inspect_did_not_score_is_named(changed):
    def change(log):
        log["samples"][2]["scores"]["match"]["value"] = float("nan")

    assert read_results(changed(change))[0].unscored == ("sum-10",)


def test_an_unknown_grade_is_refused(changed):
    def change(log):
        log["samples"][0]["scores"]["match"]["value"] = "good"

    with pytest.raises(InputError, match="item sum-0 has match 'good', but a score is a number"):
        read_results(changed(change))


def test_a_long_question_is_read_from_the_attachments(changed):
    def change(log):
        log["samples"][0]["attachments"] = {"abc": log["samples"][0]["input"]}
        log["samples"][0]["input"] = "attachment://abc"

    first, whole = read_results(changed(change))[0], read_results(changed(lambda log: None))[0]
    assert first.rows["question"].equals(whole.rows["question"])


@pytest.mark.parametrize(
    "change",
    [lambda log: log.update(eval=[]), lambda log: log["samples"][3].pop("id")],
    ids=["header", "sample"],
)
def test_a_log_of_another_shape_is_refused(changed, change):
    with pytest.raises(InputError, match="is not a log of Inspect as known versions write it"):
        read_results(changed(change))


def test_answers_and_what_the_scorer_read_are_kept(one_wrong, two_scorers):
    for path, metric in ((one_wrong, "match"), (two_scorers, "f1")):
        (result,) = read_results(path, [metric])
        assert result.rows["answer"].str.len().gt(0).all()
        assert result.rows["read"].notna().all()

from __future__ import annotations

from dataclasses import replace

import pytest

from workflow_scripts.foreign.matching import match
from workflow_scripts.foreign.readers import read_results
from workflow_scripts.runtime.errors import InputError


def one(path, *metrics):
    (result,) = read_results(path, metrics)
    return result


@pytest.fixture
def table(tmp_path):
    def write(name, text):
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        return one(path)

    return write


def test_items_of_one_task_are_matched_by_id(float32, bfloat16):
    matched = match([one(float32, "strict-match"), one(bfloat16, "strict-match")])
    assert (matched.key, matched.items, matched.left_out) == ("id", 16, ())


def test_items_of_different_tools_are_matched_by_question(float32, seven_wrong):
    """Five of the sixteen questions are there twice, so nothing tells which is which."""
    samples, log = one(float32, "strict-match"), one(seven_wrong)
    matched = match([samples, log])
    questions = samples.rows["question"]
    assert matched.key == "question"
    assert matched.items == (~questions.duplicated(keep=False)).sum() == 11
    first, second = (result.rows.set_index("item") for result in matched.results)
    assert (first["question"] == second.loc[first.index, "question"]).all()
    assert len(matched.left_out) == 2


def test_the_same_ids_in_another_order_are_matched_by_question(float32):
    result = one(float32, "strict-match")
    turned = replace(result, rows=result.rows.assign(item=result.rows["item"].tolist()[::-1]))
    first, second = match([result, turned]).results
    expected = result.rows.drop_duplicates("question", keep=False)
    pairs = first.rows.merge(second.rows, on="item")
    assert (pairs["content_x"] == pairs["content_y"]).all()
    assert len(pairs) == len(expected)


def test_what_is_left_out_is_counted_and_named(table):
    first = table("a", "item,question,score\n1,x,1\n2,y,1\n3,z,1\n4,v,\n")
    second = table("b", "item,question,score\n1,x,1\n2,w,0\n5,u,1\n6,t,1\n7,s,1\n8,r,1\n")
    matched = match([first, second])
    assert matched.items == 1
    assert matched.left_out == (
        "same id, another question: 1 item (2)",
        "not in every result, but in a: 1 item (3)",
        "without a score in a: 1 item (4)",
        "not in every result, but in b: 4 items (5, 6, 7, ...)",
    )


def test_different_tasks_are_refused_by_name(float32, colours):
    with pytest.raises(InputError, match=r"is of task sums, .* of task colours; compare results"):
        match([one(float32, "strict-match"), one(colours, "acc")])


def test_different_prompts_are_refused_with_what_differs(float32, zero_shot):
    results = [one(float32, "strict-match"), one(zero_shot, "strict-match")]
    with pytest.raises(InputError) as refused:
        match(results)
    assert "different prompts in 16 of 16 common items, item 0 for instance (SHA-256 " in str(
        refused.value
    )
    assert "by shots ('2' and '0')" in str(refused.value)
    assert match(results, other_prompts=True).items == 16


def test_different_versions_of_a_task_are_refused(float32, bfloat16):
    first, second = one(float32, "strict-match"), one(bfloat16, "strict-match")
    second = replace(second, asked=dict(second.asked) | {"version": "2.0"})
    with pytest.raises(InputError, match=r"is of version 1.0 of task sums, .* of version 2.0"):
        match([first, second])


def test_different_right_answers_are_refused(table):
    first = table("a", "item,target,score\n1,x,1\n2,y,1\n")
    second = table("b", "item,target,score\n1,x,1\n2,z,1\n")
    with pytest.raises(InputError, match="different right answers to 1 of 2 common items, item 2"):
        match([first, second])


def test_no_common_item_is_refused(table, seven_wrong):
    first = table("a", "item,score\nx,1\ny,1\n")
    with pytest.raises(
        InputError, match=r"no common item: .*a.csv has 2 items \(x, y\), .*16 items"
    ):
        match([first, one(seven_wrong)])


def test_ids_of_other_questions_are_no_common_items(table):
    first = table("a", "item,question,score\n1,x,1\n")
    second = table("b", "item,question,score\n1,y,1\n")
    with pytest.raises(InputError, match="have no common item: 1 have the same id but another"):
        match([first, second])

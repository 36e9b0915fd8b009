"""Where every file lies: the only module that builds paths of results.

A method without names returns the pattern of a rule, wildcards in braces; with names, the path of
one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.tasks.shares import SPLITS

# regex of the wildcard `{draw}`, empty for the first draw
DRAW = r"(-draw-[1-9]\d*)?"
# regex of the wildcard `{result}`: a base result or a teacher's, a run or its repeat
RESULT = r"icl/[^/]+|runs/[^/]+/seed-[^/]+(/repeat)?"
# regex of the wildcard `{answered}`: a teacher's answers to a split, a student's in a round
ANSWERED = r"answers/[^/]+/[^/]+/[^/]+|runs/[^/]+/seed-[^/]+/rounds/\d+"
# regex of the wildcard `{data}`, which is empty for the task's own training items
DATA = rf"(({ANSWERED})/[^/]+/)?"


# folders beside those of the models
FOLDERS = (TASKS, FIGURES, EXPORTS, SEARCHES, LOGS, BENCHMARKS, TRACKING) = (
    "tasks",
    "figures",
    "exports",
    "searches",
    "logs",
    "benchmarks",
    "tracking",
)
# files about the whole experiment, besides its tables
PAGES = ("report.html", "summary.md", "settings.json", "provenance.html", "study.yaml")
# endings of the files of a figure
FIGURE_KINDS = ("png", "svg", "csv")


def is_taken_from_models(name: str) -> bool:
    """Whether a file or another folder lies where the folder of a model of this name would."""
    # some file systems do not tell capitals apart
    return name.lower() in (*FOLDERS, *PAGES) or is_table(name)


def is_table(name: str) -> bool:
    """Whether this may be the file of a table; those of a model lie beside its tasks' folders."""
    return name.lower().endswith(".csv")


def is_taken_from_groups(name: str) -> bool:
    """Whether a figure or its log may lie where the folder of a comparison group would."""
    return name.lower().rpartition(".")[2] in (*FIGURE_KINDS, "log")


def of_draw(draw: int | str | None) -> str:
    """The end of a name that belongs to a draw: nothing for the first; a pattern stays one."""
    if isinstance(draw, str):
        return draw
    return f"-draw-{draw}" if draw else ""


@dataclass(frozen=True)
class Layout:
    """Paths of one experiment, whose results lie in `folder`."""

    folder: str

    @classmethod
    def of(cls, results: str, experiment: str) -> Layout:
        return cls(str(Path(results, experiment)))

    # models and tasks

    def model(self, model: str = "{model}") -> str:
        """The manifest of a model; it lies outside the results: experiments share models."""
        return f"resources/models/{model}/manifest.json"

    def task(self, name: str, task: str = "{task}") -> str:
        return f"{self.folder}/{TASKS}/{task}/{name}"

    def splits(self, task: str = "{task}") -> list[str]:
        return [self.task(f"{split}.parquet", task) for split in SPLITS]

    # results and teacher targets

    def base(
        self,
        name: str,
        model: str = "{model}",
        task: str = "{task}",
        shots: int | str = "{shots}",
        draw: int | str | None = "{draw}",
    ) -> str:
        """A file of the base model after `shots` demonstrations."""
        return self.pair(f"icl/{shots}-shot{of_draw(draw)}/{name}", model, task)

    def teacher(
        self,
        name: str,
        model: str = "{model}",
        task: str = "{task}",
        teacher: str = "{teacher}",
        draw: int | str | None = "{draw}",
    ) -> str:
        """A file of a teacher's own result; `model` is the one that teaches."""
        return self.pair(f"icl/{teacher}{of_draw(draw)}/{name}", model, task)

    def targets(
        self,
        name: str,
        model: str = "{model}",
        task: str = "{task}",
        teacher: str = "{teacher}",
        draw: int | str | None = "{draw}",
        data: str = "{data}",
    ) -> str:
        """A file in the folder of a teacher's targets.

        data: folder of the answers that the teacher reads, with a slash, in the folder of the model
        that the answers are of; empty for the task's own, where `model` is the one that teaches.
        """
        return self.pair(f"{data}teachers/{teacher}{of_draw(draw)}/{name}", model, task)

    def shard(
        self,
        name: str,
        model: str = "{model}",
        task: str = "{task}",
        teacher: str = "{teacher}",
        number: int | str = "{number}",
        shard: str = "{shard}",
        draw: int | str | None = "{draw}",
        data: str = "{data}",
    ) -> str:
        """A file of a shard of these targets; number: of the pass that made it."""
        name = f"pass-{number}/shard-{shard}/{name}"
        return self.targets(name, model, task, teacher, draw, data)

    def teacher_answers(
        self,
        name: str,
        model: str = "{model}",
        task: str = "{task}",
        teacher: str = "{teacher}",
        draw: int | str | None = "{draw}",
        generated: str = "{generated}",
        split: str = "{split}",
    ) -> str:
        """A file of a teacher's answers to a split; `model` is the one that teaches."""
        folder = f"answers/{teacher}{of_draw(draw)}/{generated}/{split}"
        return self.pair(f"{folder}/{name}", model, task)

    def answered(self, name: str) -> str:
        """A file of generated answers; `ANSWERED` lists their kinds."""
        return self.pair(f"{{answered}}/{name}")

    def run(
        self,
        name: str,
        model: str = "{model}",
        task: str = "{task}",
        condition: str = "{condition}",
        seed: int | str = "{seed}",
        draw: int | str | None = "{draw}",
    ) -> str:
        return self.pair(f"runs/{condition}/seed-{seed}{of_draw(draw)}/{name}", model, task)

    def tuned(
        self,
        name: str,
        model: str = "{model}",
        task: str = "{task}",
        condition: str = "{tuned}",
        seed: int | str = "{seed}",
        draw: int | str | None = "{draw}",
    ) -> str:
        """A file of a run of the variant of a condition that was chosen."""
        return self.pair(f"tuned/{condition}/seed-{seed}{of_draw(draw)}/{name}", model, task)

    def choices(self) -> str:
        """The table that says which variants of a model on a task were chosen."""
        return self.pair("tuning.csv")

    def round(
        self,
        name: str,
        model: str = "{model}",
        task: str = "{task}",
        condition: str = "{condition}",
        seed: int | str = "{seed}",
        draw: int | str | None = "{draw}",
        round: int | str = "{round}",
    ) -> str:
        """A file of one round of a run that trains on its own answers."""
        return self.run(f"rounds/{round}/{name}", model, task, condition, seed, draw)

    def repeat(
        self,
        name: str,
        model: str = "{model}",
        task: str = "{task}",
        condition: str = "{condition}",
        seed: int | str = "{seed}",
        draw: int | str | None = "{draw}",
    ) -> str:
        """A file of the second evaluation of a run's chosen checkpoint."""
        return self.run(f"repeat/{name}", model, task, condition, seed, draw)

    def transfer(
        self,
        name: str,
        model: str = "{model}",
        task: str = "{task}",
        condition: str = "{condition}",
        seed: int | str = "{seed}",
        draw: int | str | None = "{draw}",
    ) -> str:
        """A file of the evaluation of a run on `task` on all other tasks."""
        return self.run(f"transfer/{name}", model, task, condition, seed, draw)

    def foreign(
        self,
        name: str,
        model: str = "{model}",
        task: str = "{task}",
        foreign: str = "{foreign}",
        number: int | str = "{number}",
    ) -> str:
        """A file of a result that was made elsewhere. number: of its file, from 0."""
        return self.pair(f"foreign/{foreign}/{number}/{name}", model, task)

    def answers(self, name: str) -> str:
        """A file of a result on its own task; `RESULT` lists their kinds."""
        return self.pair(f"{{result}}/{name}")

    # tables, figures and what is made on request

    def result(self, name: str) -> str:
        """A file about the whole experiment: one of `PAGES`, or a table."""
        if name not in PAGES and not is_table(name):
            raise ValueError(f"{name} is neither a table nor listed in PAGES")
        return f"{self.folder}/{name}"

    def of_model(self, name: str, model: str = "{model}") -> str:
        return f"{self.folder}/{model}/{name}"

    def pair(self, name: str, model: str = "{model}", task: str = "{task}") -> str:
        """A file about one model on one task."""
        return f"{self.folder}/{model}/{task}/{name}"

    def figure(
        self,
        kind: str,
        model: str = "{model}",
        task: str = "{task}",
        figure: str = "{figure}",
    ) -> str:
        """kind: one of `FIGURE_KINDS`. figure: a name, or `<group>/<name>`."""
        return f"{self.folder}/{FIGURES}/{model}/{task}/{figure}.{kind}"

    def export(
        self,
        name: str,
        model: str = "{model}",
        task: str = "{task}",
        condition: str = "{condition}",
        seed: int | str = "{seed}",
        draw: int | str | None = "{draw}",
    ) -> str:
        """A file of a run's chosen checkpoint, made when it is asked for."""
        run = f"{model}/{task}/{condition}/seed-{seed}{of_draw(draw)}"
        return f"{self.folder}/{EXPORTS}/{run}/{name}"

    def search(self, name: str) -> str:
        return f"{self.folder}/{SEARCHES}/{{search}}/{name}"

    # beside the results

    def log(self, rule: str, *wildcards: str) -> str:
        return f"{self._of_job(LOGS, rule, wildcards)}.log"

    def benchmark(self, rule: str, *wildcards: str) -> str:
        return f"{self._of_job(BENCHMARKS, rule, wildcards)}.tsv"

    def _of_job(self, kind: str, rule: str, wildcards: tuple[str, ...]) -> str:
        """wildcards: names, or patterns of several."""
        patterns = [name if "{" in name else f"{{{name}}}" for name in wildcards]
        return "/".join([self.folder, kind, rule, *patterns])

"""A finished tiny study whose jobs can be disturbed, run again and compared with what they made."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.checkout import copy_checkout
from tests.tiny_experiment import EXPERIMENT, write_tiny_inputs
from tests.warm_python import WarmPython

# what a run costs, and when, differs each time
_MEASURED = re.compile(
    r"(^|/)(cost|inference|answers)\.json$|/tensorboard/|/logs/|/benchmarks/|in-use"
)
# answers that a job keeps for its next start, in the order in which they came: no result
_KEPT = re.compile(r"/transfer/\.completing/")
# tables and pages that hold what runs have cost
_COSTS = re.compile(r"(^|/)(\w*cost\w*\.csv|report\.html|summary\.md)$")
_SNAKEMAKE = (sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml")


@dataclass(frozen=True)
class Job:
    """One job of the study: its programs with their arguments, the files that it reads and makes.

    Paths are relative to the study's folder. What a manifest lists is read with it.
    """

    programs: tuple[tuple[str, ...], ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} making {self.outputs[0]}"

    @property
    def name(self) -> str:
        """Of its first program."""
        return self.programs[0][0].removeprefix("workflow_scripts.")


@dataclass(frozen=True)
class Outcome:
    """How a process ended, and what it said."""

    status: int | None
    said: str

    @property
    def error(self) -> str | None:
        """Its error if that is one line; None for any other end, a traceback for example."""
        errors = [line for line in self.said.splitlines() if line.startswith("error: ")]
        one_line = len(errors) == 1 and "Traceback" not in self.said
        return errors[0] if self.status == 2 and one_line else None

    def __str__(self) -> str:
        lines = self.said.strip().splitlines()
        return f"status {self.status}: {lines[-1][:200] if lines else 'nothing said'}"


class Workbench:
    """The study in `folder`; `jobs` are those whose program runs in this package."""

    def __init__(self, folder: Path) -> None:
        """folder: of a study that was run to its end."""
        self.folder = folder
        self._whole = _content(folder)
        self.jobs = tuple(_jobs(folder))

    def start(self, job: Job) -> WarmPython:
        program = (
            "import os, runpy, sys\n"
            f"os.chdir({str(self.folder)!r})\n"
            f"for words in {job.programs!r}:\n"
            "    sys.argv = list(words)\n"
            "    runpy.run_module(words[0], run_name='__main__', alter_sys=True)\n"
        )
        return WarmPython(["-c", program], os.environ | {"CUDA_VISIBLE_DEVICES": ""})

    def finish(self, process: WarmPython) -> Outcome:
        said = "".join(process.communicate())
        return Outcome(process.returncode, said)

    def run(self, job: Job) -> Outcome:
        return self.finish(self.start(job))

    def snakemake(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*_SNAKEMAKE, *arguments],
            cwd=self.folder,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def remove_outputs(self, job: Job) -> None:
        """As Snakemake does before it starts a job."""
        for output in job.outputs:
            (self.folder / output).unlink(missing_ok=True)

    def differences(self, costs: bool = True) -> list[str]:
        """Files that are not as the undisturbed study made them, that are missing or left over.

        costs: whether tables of costs and pages with them are compared too.
        """
        now = _content(self.folder)
        return sorted(
            name
            for name in now.keys() | self._whole.keys()
            if now.get(name) != self._whole.get(name)
            and not _MEASURED.search(_named(name))
            and not _KEPT.search(name)
            and (costs or not _COSTS.search(_named(name)))
        )

    @contextmanager
    def disturbed(self) -> Iterator[None]:
        """Afterwards, the study is as it was."""
        try:
            yield
        finally:
            now = _content(self.folder)
            # what lies in a folder before the folder
            for name in sorted(now.keys() - self._whole.keys(), reverse=True):
                _remove(self.folder / name)
            for name, content in sorted(self._whole.items()):
                if now.get(name) != content:
                    _put_back(self.folder / name, content)


@contextmanager
def finished_study() -> Iterator[Workbench]:
    """A tiny study in a temporary folder, run to its end by Snakemake."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "study"
        copy_checkout(folder)
        write_tiny_inputs(folder)
        # a state after each step, to resume from
        training = EXPERIMENT["training"] | {"resume_every": 1}
        study = EXPERIMENT | {"training": training}
        (folder / "tiny.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
        subprocess.run(
            [*_SNAKEMAKE, "--cores", "all", "--quiet", "all"],
            cwd=folder,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            check=True,
        )
        yield Workbench(folder)


def _named(name: str) -> str:
    """The file that a checksum is about, or the file itself."""
    path = Path(name)
    if path.suffix == ".sha256":
        return str(path.with_name(path.name.removeprefix(".").removesuffix(".sha256")))
    return name


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink()


def _put_back(path: Path, content: bytes | Path | None) -> None:
    path.unlink(missing_ok=True)
    if content is None:
        path.mkdir()
    elif isinstance(content, Path):
        path.symlink_to(content)
    else:
        path.write_bytes(content)


def _content(folder: Path) -> dict[str, bytes | Path | None]:
    """Every file of the results and models, where it leads if it is a link; None for a folder."""
    places = (folder / "results", folder / "resources/models", folder / "tiny-qwen3")
    return {
        str(path.relative_to(folder)): _content_of(path)
        for place in places
        for path in place.rglob("*")
        if path.name != ".seen.json"
    }


def _content_of(path: Path) -> bytes | Path | None:
    if path.is_symlink():
        return path.readlink()
    return None if path.is_dir() else path.read_bytes()


def _jobs(folder: Path) -> Iterator[Job]:
    """Jobs as Snakemake recorded them, those of the package's programs."""
    listed = subprocess.run(
        [*_SNAKEMAKE, "--cores", "1", "--detailed-summary", "all"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = list(csv.DictReader(listed.stdout.splitlines(), delimiter="\t"))
    outputs: dict[str, list[str]] = {}
    for row in rows:
        outputs.setdefault(row["shellcmd"], []).append(row["output_file"])
    for row in {row["shellcmd"]: row for row in rows}.values():
        programs = tuple(map(_program, row["shellcmd"].split(" && ")))
        if not all(programs):
            continue
        inputs = [
            name
            for given in row["input-file(s)"].split(",")
            if not given.startswith(("workflow_scripts", "rules"))
            for name in _read_with(folder, given)
        ]
        yield Job(programs, tuple(inputs), tuple(outputs[row["shellcmd"]]))


def _program(command: str) -> tuple[str, ...]:
    """The program of the package that a command starts, with its arguments; empty if none.

    The launcher of devices, which may come first, is left out: all runs on the CPU here.
    """
    words = shlex.split(command)
    modules = [word for word in words if word.startswith("workflow_scripts.")]
    end = next((n for n, word in enumerate(words) if word in (">", ">>")), len(words))
    return tuple(words[words.index(modules[-1]) : end]) if modules else ()


def _read_with(folder: Path, name: str) -> list[str]:
    """A file, and those that it lists if it is a manifest."""
    path = folder / name
    if path.name != "manifest.json":
        return [name]
    listed = json.loads(path.read_text()).get("files", {})
    return [name, *(str(Path(name).parent / file) for file in listed)]

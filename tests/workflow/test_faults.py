"""A sample of the faults that `python -m benchmarks.faults` tries on a finished study."""

from __future__ import annotations

import pytest

from benchmarks.faults.damages import damage_files
from benchmarks.faults.double_starts import kill_snakemake, start_twice
from benchmarks.faults.kills import kill_jobs
from benchmarks.faults.workbench import Workbench


@pytest.fixture(scope="module")
def bench(finished_project) -> Workbench:
    return Workbench(finished_project.folder)


def test_a_damaged_file_is_named_or_changes_nothing(bench):
    counts = damage_files(bench, count=30, seed=0)
    assert counts.faults == []
    assert counts.refused > counts.same


def test_a_killed_job_that_starts_again_ends_as_if_it_never_was(bench):
    assert kill_jobs(bench, count=10, seed=0).faults == []


def test_a_job_that_is_started_twice_has_the_results_of_one_start(bench):
    assert start_twice(bench, count=8, seed=0).faults == []


def test_a_killed_snakemake_leaves_no_job_behind_that_its_successor_meets(bench):
    assert kill_snakemake(bench, count=1, seed=0).faults == []

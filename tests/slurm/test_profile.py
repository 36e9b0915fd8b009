"""A missing feature of a cluster is reported before the first job."""

from __future__ import annotations

import pytest

from tests.slurm.conftest import IN_PARTITION, SQUEUE, Submit, small_experiment, small_project
from tests.workflow.conftest import Project


@pytest.fixture
def project(tmp_path) -> Project:
    return small_project(tmp_path, small_experiment())


def refusal(project: Project, submit: Submit, options: list[str]) -> str:
    run = submit(project.folder, "--configfile", str(project.config), *options)
    assert run.wait() != 0
    assert not run.started()
    return run.output


def test_a_cluster_without_accounting_needs_another_status_command(project, submit):
    told = refusal(project, submit, IN_PARTITION)
    assert "set `slurm-status-command: squeue` in the profile" in told


def test_a_cluster_without_default_partition_needs_one_in_the_profile(project, submit):
    told = refusal(project, submit, SQUEUE)
    assert "the cluster has no default partition; name one in the profile" in told
    assert "(there are: main)" in told

"""A study: one experiment and its plan."""

from __future__ import annotations

from workflow_scripts.config.study import Experiment
from workflow_scripts.study.catalog import Catalog
from workflow_scripts.study.comparison_groups import ComparisonGroups
from workflow_scripts.study.inputs import Inputs
from workflow_scripts.study.layout import Layout
from workflow_scripts.study.matrix import Matrix
from workflow_scripts.study.passes import Passes
from workflow_scripts.study.resources import Resources
from workflow_scripts.study.run_inputs import RunInputs
from workflow_scripts.study.slices import Slices
from workflow_scripts.study.supervision import Supervision
from workflow_scripts.study.tables import Tables


class Study:
    """The plan that rules read; each part knows the ones before it."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.layout = Layout.of(experiment.results, experiment.experiment)
        self.matrix = Matrix(experiment, self.layout)
        self.groups = ComparisonGroups(self.matrix)
        self.resources = Resources(self.matrix)
        self.supervision = Supervision(self.matrix)
        self.passes = Passes(self.supervision)
        self.slices = Slices(self.groups, self.resources, self.supervision)
        self.catalog = Catalog(self.groups)
        self.inputs = Inputs(self.catalog, self.passes)
        self.run_inputs = RunInputs(self.passes)
        self.tables = Tables(self.inputs, self.slices)

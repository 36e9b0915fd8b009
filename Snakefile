"""How much of what few-shot context gives a model can be trained into its weights?

The stages, in the order data flows. What each makes: docs/architecture.md.
"""

from snakemake.utils import min_version

min_version("9.27")

# an experiment file stands alone: the embedded default is read only when no other is given
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "rules/captions/workflow.rst"


include: "rules/common.smk"
include: "rules/models.smk"
include: "rules/tasks.smk"
include: "rules/pretraining.smk"
include: "rules/icl_gap.smk"
include: "rules/answers.smk"
include: "rules/teachers.smk"
include: "rules/training.smk"
include: "rules/evaluation.smk"
include: "rules/analysis.smk"
include: "rules/figures.smk"
include: "rules/export.smk"
include: "rules/search.smk"
include: "rules/start.smk"


rule all:
    default_target: True
    input:
        study.tables.gathered,
        study.catalog.figures,
        layout.result("report.html"),
        layout.result("summary.md"),
        layout.result("settings.json"),


rule gaps:
    """The in-context gap of every model on every task; trains nothing."""
    input:
        layout.result("icl_gap.csv"),


rule teachers:
    """Every teacher target that a student reads."""
    input:
        study.inputs.of_all(study.passes.all_shards_of, "manifest.json"),


rule students:
    """Every trained student."""
    input:
        study.inputs.of_all(matrix.runs_of, "checkpoints/manifest.json"),


rule evaluations:
    """The scored answers of base models, students and transfers."""
    input:
        study.inputs.of_all(matrix.results_of, "predictions.parquet"),

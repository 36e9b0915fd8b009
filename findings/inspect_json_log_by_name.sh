#!/usr/bin/env bash
# inspect_ai 0.3.285: its data frames leave out a `.json` log whose name does not begin with a time, also when its
# path is given.
#
# `evals_df(path)` and `samples_df(path)` of one existing, valid log might be expected to read it, whatever it is
# called: `read_eval_log(path)` does. They return a table without rows, and say nothing. A `.eval` log is read
# under any name.
#
# Why: paths that are given go through the same filter as the files of a folder, and it takes a name pattern to
# tell logs from other `.json` files (`is_log_file`, inspect_ai/log/_file.py).
#
# Seen on Python 3.11; of one log, first with the name that Inspect gave it:
#   as written: 1 evaluation, 2 samples
#   renamed: 0 evaluations, 0 samples
#   renamed, by read_eval_log: 2 samples
#
# Exit status: 0 when it is as described, 1 when it is not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet inspect-ai==0.3.285 pandas pyarrow
cd "$folder"
cat > look.py <<'PYTHON'
import shutil
import sys

from inspect_ai import Task, eval
from inspect_ai.analysis import evals_df, samples_df
from inspect_ai.dataset import Sample
from inspect_ai.log import read_eval_log
from inspect_ai.scorer import match

questions = [Sample(input=f"1 + {number} =", target="2") for number in (1, 2)]
task = Task(dataset=questions, scorer=match(), name="sums")
(log,) = eval(task, model="mockllm/model", log_dir="logs", log_format="json", display="none")
written = log.location.removeprefix("file://")
shutil.copy(written, "renamed.json")


def counts(path):
    return len(evals_df(path, quiet=True)), len(samples_df(path, quiet=True))


found = counts(written), counts("renamed.json"), len(read_eval_log("renamed.json").samples)
print("as written: {} evaluation, {} samples".format(*found[0]))
print("renamed: {} evaluations, {} samples".format(*found[1]))
print(f"renamed, by read_eval_log: {found[2]} samples")
sys.exit(found != ((1, 2), (0, 0), 2))
PYTHON
"$folder/venv/bin/python" look.py

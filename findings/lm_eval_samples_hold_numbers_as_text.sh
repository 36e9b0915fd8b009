#!/usr/bin/env bash
# lm-eval 0.4.13: `--log_samples` writes the model's log-likelihoods as text, and whether the option is the greedy
# continuation as the text "False", which Python takes for true.
#
# The samples file of a multiple choice task is JSON, and each option's response is the pair (log-likelihood, is
# greedy). A reader expects a number and a boolean, as the model returned them. It finds `["-0.26…", "False"]`, in
# `resps` and in `filtered_resps`, so that `max(resps)` compares texts ("-0.8" is above "-0.2") and every
# `if is_greedy` holds. Metrics of the same line, such as `acc`, are numbers.
#
# Why: before they are written, all responses go through `sanitize_list`, which makes texts of whatever is no list
# (lm_eval/utils.py).
#
# Seen on Python 3.11, with the harness's own `dummy` model:
#   response: ['-0.2604923103919594', 'False']
#   largest as written: -0.8050278270130223 - as numbers: -0.014041700164018955
#   bool of the flag that is false: True
#   type of acc: float
#
# Exit status: 0 when it is as described, 1 when it is not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lm-eval==0.4.13
cd "$folder"
mkdir tasks
cat > tasks/two.yaml <<'YAML'
task: two
dataset_path: json
dataset_kwargs: {data_files: {test: tasks/two.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: ["yes", "no"]
doc_to_target: 0
metric_list: [{metric: acc}]
YAML
printf '{"question": "Is 2 even?"}\n{"question": "Is 4 even?"}\n' > tasks/two.jsonl
"$folder/venv/bin/lm_eval" run --model dummy --tasks two --include_path tasks --log_samples --output_path out \
    > log 2>&1 || { cat log; exit 1; }
"$folder/venv/bin/python" - out/*/samples_two_*.jsonl <<'PYTHON'
import json
import sys

with open(sys.argv[1]) as file:
    lines = [json.loads(line) for line in file]
responses = [option for line in lines for (option,) in line["resps"]]
written = [likelihood for likelihood, _ in responses]
flags = [flag for _, flag in responses]
print("response:", responses[0])
print("largest as written:", max(written), "- as numbers:", max(map(float, written)))
print("bool of the flag that is false:", bool(flags[0]))
print("type of acc:", type(lines[0]["acc"]).__name__)
is_text = all(isinstance(part, str) for option in responses for part in option)
same = all(line["filtered_resps"] == [option for (option,) in line["resps"]] for line in lines)
sys.exit(not (is_text and same and set(flags) == {"False"} and isinstance(lines[0]["acc"], float)))
PYTHON

#!/usr/bin/env bash
# inspect_ai 0.3.285: `messages_df` takes no notice of a sample's `messages`. It reads the recorded calls of the model
# alone, and of a log without any it raises a KeyError.
#
# A solver that answers by rule, a baseline, calls no model. Its log holds the conversation in `messages`, where the
# viewer shows it, and `samples_df` reads it. `messages_df` might be expected to list these messages, or to be empty. It
# fails in pandas, on the column by which it removes repeated rows.
#
# Seen on Python 3.11; two samples of a question and an answer each:
#   4 messages in the log, 2 rows of samples_df, KeyError from messages_df
#
# Exit status: 0 when it is as described, 1 when it is not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet inspect-ai==0.3.285 pandas pyarrow
cd "$folder"
cat > look.py <<'PYTHON'
import sys

from inspect_ai import Task, eval
from inspect_ai.analysis import messages_df, samples_df
from inspect_ai.dataset import Sample
from inspect_ai.log import read_eval_log
from inspect_ai.model import ChatMessageAssistant, ModelOutput
from inspect_ai.scorer import match
from inspect_ai.solver import solver


@solver
def always_two():
    async def solve(state, generate):
        state.messages.append(ChatMessageAssistant(content="2"))
        state.output = ModelOutput.from_content("rule", "2")
        return state

    return solve


questions = [Sample(input=f"1 + {number} =", target="2") for number in (1, 2)]
task = Task(dataset=questions, solver=always_two(), scorer=match(), name="sums")
(log,) = eval(task, model="mockllm/model", log_dir="logs", display="none")
path = log.location.removeprefix("file://")
messages = sum(len(sample.messages) for sample in read_eval_log(path).samples)
samples = len(samples_df(path, quiet=True))
try:
    seen = f"{len(messages_df(path, quiet=True))} rows"
except Exception as error:
    seen = type(error).__name__
print(f"{messages} messages in the log, {samples} rows of samples_df, {seen} from messages_df")
sys.exit((log.status, messages, samples, seen) != ("success", 4, 2, "KeyError"))
PYTHON
"$folder/venv/bin/python" look.py

#!/usr/bin/env bash
# reasoning_gym 0.1.25: the same seed gives other items in another process.
#
# A data set draws item i from Random(seed + i), so `create_dataset(name, seed=0)` should be the same
# everywhere. Some data sets also iterate over sets of strings, whose order follows PYTHONHASHSEED
# (random by default), one draws from the global `random`, and one runs code that reads the clock.
#
# Seen on Python 3.11, 20 items of each of the 105 data sets (`composite` has no defaults):
#   other PYTHONHASHSEED: isomorphic_strings knight_swap polynomial_multiplication ransom_note word_ladder
#   other global random state: list_functions
#   nothing else changed: codeio
# (knight_swap and word_ladder keep their questions and change their answers.)
# `codeio` is told apart here by its second run in the same settings.
#
# Exit status: 0 when it is as described, 1 when it is not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet reasoning-gym==0.1.25
cat > "$folder/draw.py" <<'PYTHON'
import json, random, sys
import reasoning_gym

drawn = {}
for name in sorted(set(reasoning_gym.factory.DATASETS) - {"composite"}):
    random.seed(sys.argv[2])
    items = reasoning_gym.create_dataset(name, seed=0, size=20)
    drawn[name] = [(items[n]["question"], str(items[n]["answer"])) for n in range(20)]
json.dump(drawn, open(sys.argv[1], "w"))
PYTHON
cd "$folder"
draw() { PYTHONHASHSEED=$2 venv/bin/python draw.py "$1.json" "$3" > /dev/null; }
draw first 0 0 && draw again 0 0 && draw hash 1 0 && draw global 0 1
venv/bin/python - <<'PYTHON'
import json, sys

first, again, hashed, state = (json.load(open(f"{n}.json")) for n in ("first", "again", "hash", "global"))
differing = lambda other: [name for name in first if first[name] != other[name]]
clock = differing(again)
seen = {
    "other PYTHONHASHSEED": [name for name in differing(hashed) if name not in clock],
    "other global random state": [name for name in differing(state) if name not in clock],
    "nothing else changed": clock,
}
for change, names in seen.items():
    print(f"{change}: {' '.join(names)}")
sys.exit(
    seen != {
        "other PYTHONHASHSEED": [
            "isomorphic_strings", "knight_swap", "polynomial_multiplication", "ransom_note", "word_ladder"
        ],
        "other global random state": ["list_functions"],
        "nothing else changed": ["codeio"],
    }
)
PYTHON

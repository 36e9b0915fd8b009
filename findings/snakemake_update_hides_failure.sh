#!/usr/bin/env bash
# snakemake 9.27.1: after a job with an update() output has failed, Snakemake takes the old output for the new one.
#
# `update(file)` keeps the file while the job that makes it again runs, and restores it when the job fails.
# In fact the restored file also counts as made: the next run with the changed params has nothing to do and
# exits with 0, and a run with the old params, which made the file, would make it again.
#
# Why: `Job.postprocess` (snakemake/jobs.py) records params and inputs of failed jobs as of finished ones
# (`persistence.finished`). That does no harm where the outputs of the failed job are then removed; restored
# ones are left out of that.
#
# A first failure, with nothing to restore, logs "Cannot restore out.txt: no backup found."
#
# Documented: no. "Updating existing output files" (docs/snakefiles/rules.rst) says that the old version is
# restored if the job fails.
#
# Seen on Python 3.11:
#   old params: succeeded
#   new params: failed
#   new params again: nothing to be done
#
# Exit status: 0 when it is as described, 1 when it is not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet snakemake==9.27.1
export XDG_CACHE_HOME=$folder/cache
cd "$folder"
cat > Snakefile <<'SNAKEFILE'
rule a:
    output: update("out.txt")
    params: config["setting"]
    shell: "test {params} = old && echo made > {output}"
SNAKEFILE

outcome_with() { # the setting
    if ! "$folder/venv/bin/snakemake" --cores 1 --config setting="$1" > log 2>&1; then
        echo failed
    elif grep -q "Nothing to be done" log; then
        echo "nothing to be done"
    else
        echo succeeded
    fi
}
as_described=0
expect() { # what is run, the outcome, the setting
    local outcome
    outcome=$(outcome_with "$3")
    echo "$1: $outcome"
    [[ $outcome == "$2" ]] || as_described=1
}

expect "old params" succeeded old
expect "new params" failed new
expect "new params again" "nothing to be done" new
exit $as_described

#!/usr/bin/env bash
# snakemake 9.27.1: a job is not checked for changes when an ancient() input of it is remade in the same run.
#
# `ancient(file)` should take away one trigger: the timestamp of that file. In fact, when the job that
# makes the file is planned, the job that reads it is not checked any more. It is not planned when another
# input, its params or its code changed, nor even when its own output, a target, is missing. The run exits
# with 0; only the next run does what this one left.
#
# Why: `DAG.update_needrun` (snakemake/dag.py) first masks all jobs behind a planned one and skips their
# checks, since "they will below be determined as needrun because they depend on them". Below, it does not
# go on along ancient() inputs, since there is "no other reason to run" the job: nobody has looked for one.
# An ordinary input that is remade as well does plan the job.
#
# Documented: no. "Ignoring timestamps" (docs/snakefiles/rules.rst) speaks only of the timestamp of the
# ancient file. github.com/snakemake/snakemake/issues/4166 (open) reports the same of a job further down.
#
# Seen on Python 3.11; each change is made together with one of a.src:
#   nothing else: a, as it should
#   b.src: a
#   params of b: a
#   code of b: a
#   y.txt is missing: a
#   c.src: a b c
#   b.src, without a.src: b
#
# Exit status: 0 when it is as described, 1 when it is not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet snakemake==9.27.1
export XDG_CACHE_HOME=$folder/cache
as_described=0

write_snakefile() { # params and code of b
    cat > Snakefile <<SNAKEFILE
rule all:
    input: "y.txt"
rule a:
    input: "a.src"
    output: "x.txt"
    shell: "cp {input} {output}"
rule b:
    input: ancient("x.txt"), "b.src", "z.txt"
    output: "y.txt"
    params: "$1"
    shell: "cat {input} > {output} # $2"
rule c:
    input: "c.src"
    output: "z.txt"
    shell: "cp {input} {output}"
SNAKEFILE
}
snakemake() { "$folder/venv/bin/snakemake" --cores 1 > log 2>&1 || { cat log; exit 1; }; }
change() { echo changed | tee "$@" > /dev/null; }
jobs_after() { # what changed, the jobs that should run, a command that makes the change
    mkdir "$folder/work"
    cd "$folder/work"
    write_snakefile old old
    touch {a,b,c}.src
    snakemake
    sleep 0.1 # a later timestamp
    "${@:3}"
    snakemake
    local ran
    ran=$(sed -nE 's/^(local)?rule ([abc]):.*/\2/p' log | sort | xargs)
    echo "$1: $ran"
    [[ $ran == "$2" ]] || as_described=1
    cd "$folder"
    rm -r work
}
change_and() { change a.src && "$@"; }

jobs_after "nothing else" a change a.src
jobs_after "b.src" a change a.src b.src
jobs_after "params of b" a change_and write_snakefile new old
jobs_after "code of b" a change_and write_snakefile old new
jobs_after "y.txt is missing" a change_and rm y.txt
jobs_after "c.src" "a b c" change a.src c.src
jobs_after "b.src, without a.src" b change b.src
exit $as_described

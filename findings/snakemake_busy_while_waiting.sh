#!/usr/bin/env bash
# snakemake 9.27.1: the more jobs have finished, the more the main process computes while it waits.
#
# While jobs run and others wait for cores, Snakemake should sleep until a job ends. In fact each finished
# job leaves a timer: after 60 short jobs the main process takes several times the CPU that it takes after
# none, and it grows with every job. `--max-jobs-per-timespan 1000/5s` lets the timers fire a fifth as often.
#
# Why: `JobScheduler.schedule` (snakemake/scheduling/job_scheduler.py) ends each round with
# `_schedule_reevalutation(timespan)` (so spelled) where there is a rate limit, and by default there is one of 100 jobs a
# second. The timer starts the next round, which sets the next timer, and no timer replaces another. So there
# are as many chains of timers as rounds that were begun by something else: each end of a job begins one.
#
# Documented: no; --max-jobs-per-timespan is described as a limit for submissions.
#
# Seen on Python 3.11, in CPU time of the main process while one job held all cores and nine waited:
#   after 0 jobs: 0.0 % of a core
#   after 60 jobs: 3.2 % of a core
#   after 60 jobs, 1000/5s: 0.7 % of a core
#
# Exit status: 0 when it is as described (after 60 jobs more than 3 times as much as after none), 1 when it is
# not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet snakemake==9.27.1 psutil==7.2.2
export XDG_CACHE_HOME=$folder/cache
cd "$folder"
cat > Snakefile <<'SNAKEFILE'
rule all:
    input: expand("short-{i}", i=range(config["jobs"])), expand("long-{j}", j=range(10))
rule short:
    output: "short-{i}"
    priority: 10
    shell: "touch {output}"
rule long:
    output: "long-{j}"
    threads: 4
    shell: "touch started; sleep 60"
SNAKEFILE
cat > measure.py <<'PYTHON'
import os, pathlib, shutil, subprocess, sys, time
import psutil

snakemake, jobs, *options = sys.argv[1:]
shutil.rmtree(".snakemake", ignore_errors=True)
for file in [*pathlib.Path().glob("short-*"), pathlib.Path("started")]:
    file.unlink(missing_ok=True)
command = [snakemake, "--cores", "4", "--quiet", "all", *options, "--config", f"jobs={jobs}"]
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
main = psutil.Popen(command, start_new_session=True, **quiet)
while not os.path.exists("started"):
    time.sleep(0.2)
time.sleep(3)
before, begin = main.cpu_times(), time.monotonic()
time.sleep(20)
after = main.cpu_times()
share = (after.user + after.system - before.user - before.system) / (time.monotonic() - begin)
for process in [*main.children(recursive=True), main]:
    process.kill()
print(f"{100 * share:.1f}")
PYTHON
share_of() { venv/bin/python measure.py venv/bin/snakemake "$@"; }

none=$(share_of 0)
many=$(share_of 60)
slower=$(share_of 60 --max-jobs-per-timespan 1000/5s)
echo "after 0 jobs: $none % of a core"
echo "after 60 jobs: $many % of a core"
echo "after 60 jobs, 1000/5s: $slower % of a core"
"$folder/venv/bin/python" -c "import sys; sys.exit(not $many > 3 * max($none, 0.1))"

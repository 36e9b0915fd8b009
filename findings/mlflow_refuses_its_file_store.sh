#!/usr/bin/env bash
# mlflow 3.17.2: a tracking URI that is a folder, `file:./mlruns`, which was the default for years and which many
# guides still name, is refused at the first call, not only deprecated.
#
# A training that sets `MLFLOW_TRACKING_URI=file:./mlruns` might be expected to log, perhaps with a warning. It fails
# with an MlflowException ("maintenance mode") before the first metric, whether the folder exists or not. SQLite works,
# and so does the folder once `MLFLOW_ALLOW_FILE_STORE=true` is set. The same calls with 2.22.4 log without a warning.
#
# Seen on Python 3.11:
#   3.17.2, file:./mlruns: MlflowException
#   3.17.2, sqlite:///mlflow.db: logged
#   3.17.2, file:./mlruns with MLFLOW_ALLOW_FILE_STORE: logged
#   2.22.4, file:./mlruns: logged
#
# Exit status: 0 when it is as described, 1 when it is not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > log.py <<'PYTHON'
import sys

import mlflow

try:
    mlflow.set_tracking_uri(sys.argv[1])
    mlflow.set_experiment("losses")
    with mlflow.start_run():
        mlflow.log_metric("loss", 1.0, step=1)
    print("logged")
except mlflow.exceptions.MlflowException:
    print("MlflowException")
PYTHON
for version in 3.17.2 2.22.4; do
    "${PYTHON:-python3}" -m venv "$version"
    "$version/bin/pip" install --quiet "mlflow-skinny==$version" sqlalchemy alembic
done
{
    echo "3.17.2, file:./mlruns: $(3.17.2/bin/python log.py file:./mlruns 2> /dev/null)"
    echo "3.17.2, sqlite:///mlflow.db: $(3.17.2/bin/python log.py sqlite:///mlflow.db 2> /dev/null)"
    echo "3.17.2, file:./mlruns with MLFLOW_ALLOW_FILE_STORE:" \
        "$(MLFLOW_ALLOW_FILE_STORE=true 3.17.2/bin/python log.py file:./other 2> /dev/null)"
    echo "2.22.4, file:./mlruns: $(2.22.4/bin/python log.py file:./mlruns 2> /dev/null)"
} | tee seen
[ "$(sed 's/.*: //' seen | tr '\n' ' ')" = "MlflowException logged logged logged " ]

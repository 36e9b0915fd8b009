"""The package of the workflow."""

import gc
import sys

# `python -m workflow_scripts.…` puts this here while it looks for the module. The imports of a
# program make a million objects that stay; to search them for garbage again and again takes a
# sixth of its start. `run_program` turns the search on again.
if sys.argv[0] == "-m":
    gc.disable()

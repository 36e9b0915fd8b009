"""Faults made on purpose: does every one end in one line that names it, or in the same result?

    python -m benchmarks.faults configs --count 5000 --seed 0

Each kind of fault is a module with `run(count, seed) -> Counts`.
"""

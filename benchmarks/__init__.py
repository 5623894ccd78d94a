"""What abdicate costs, beside what a user would pick instead, measured alternately in one run.

    python -m benchmarks [--quick] [--only NAME] [--output FILE]

One module a subject; `benchmarks.harness` measures and judges, `benchmarks.machine` says where.
The peers come with the extra ``bench``. One that is absent is said to be absent.
"""

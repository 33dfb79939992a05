"""The lab: a real engine, real registries and real images on a bare Debian machine.

Everything here is for tests, benchmarks and the sandbox; the application never imports it.
Start with `tests.lab.lab.Lab`; `python -m tests.lab.up` keeps one running for experiments.
"""

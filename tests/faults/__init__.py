"""Accidents: kills, full disks, two at once, servers that do not answer, and very large inputs.

By default each test runs a seeded slice of its rounds; with ``--long`` all of them.
"""

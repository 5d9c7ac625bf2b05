"""Commands that outlive their cell, the tab and the kernel: one folder each, every fact a file.

``job.json`` says what runs since when, ``log`` is what it has written, ``end.json`` comes last. A
small process beside each job, its keeper, writes all of them; nothing else has to run.
"""

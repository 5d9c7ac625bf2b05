"""Commands that outlive their cell, the tab and the kernel: a folder each, every fact in a file.

``job.json`` has what runs since when, ``log`` its output, ``end.json`` how it ended. A small
process beside each job, its supervisor, writes all of them; nothing else has to run.
"""

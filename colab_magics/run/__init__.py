"""One run of a notebook on disk, in a fresh kernel, its setup cell kept."""

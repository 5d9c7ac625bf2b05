"""The GPUs of this machine: what they are, and whether they are what a notebook needs."""

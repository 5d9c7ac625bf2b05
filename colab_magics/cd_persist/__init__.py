"""``%cd_persist``: the working directory, the same on every run."""

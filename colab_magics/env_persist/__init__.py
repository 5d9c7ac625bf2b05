"""``%env_persist``: variables of the environment, the same on every run."""

"""The lock: the exact set behind the pins of a notebook, by version and hash."""

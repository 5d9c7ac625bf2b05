"""Downloads: what `%fetch` brings, once, whole and verified."""

"""A set-up on the workers of an engine: Dask, Ray or ipyparallel, a file for each; a library."""

"""What several suites use: cells in a real shell, kernels, servers, windows, notebooks on disk."""

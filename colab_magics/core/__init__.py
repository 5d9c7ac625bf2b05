"""What all parts stand on: steps and the host, errors, files, processes, words on a line."""

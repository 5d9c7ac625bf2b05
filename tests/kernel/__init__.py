"""Real kernels: the command line, executors, and a front end played by jupyter_client."""

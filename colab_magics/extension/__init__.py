"""The edge to IPython: magics are registered, what a cell did is remembered and recorded."""

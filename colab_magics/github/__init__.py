"""Notebooks to and from GitHub through its REST interface: nothing leaves that should not."""

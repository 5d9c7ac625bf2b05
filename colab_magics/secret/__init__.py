"""Secrets by name: one name on any host, looked up where that host keeps them."""

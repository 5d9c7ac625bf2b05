"""A drive under one path on any host: Google's where it can be had, else a named stand-in."""

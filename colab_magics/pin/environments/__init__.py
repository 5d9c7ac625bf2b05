"""Environments of other Pythons under a notebook: made by uv, kept, found again."""

"""Repositories: cloned at a commit that is recorded, and never over a person's work."""

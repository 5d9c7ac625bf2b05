"""The record: the setup cell as text, and how steps get into it."""

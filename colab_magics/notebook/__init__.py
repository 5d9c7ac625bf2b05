"""Which notebook this is, and how its file or its open document is read and written."""

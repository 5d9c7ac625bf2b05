"""Take a set-up elsewhere and back: one file a format; a library without IPython."""

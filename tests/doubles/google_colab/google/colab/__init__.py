"""A stub of Colab's own package, with the signatures that colabtools has (2026-04)."""

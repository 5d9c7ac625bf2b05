"""Tests in a real browser: Chromium on JupyterLab and on Notebook 7, with a real server."""

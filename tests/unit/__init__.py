"""Tests of the pure parts: text in, text out, and files in folders of the test's own."""

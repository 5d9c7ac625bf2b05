"""Tests of the magics in a fresh, real shell."""

"""Variants of settings compared on one release: a grid, a baseline, a query explained. Nothing is published."""

"""Fusion, order and depth chosen by judged queries, cross-validated; the learned order fitted to them."""

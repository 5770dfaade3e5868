"""Fusion, weights and depth chosen from judged queries, cross-validated. Nothing is trained here."""

"""Texts and queries to vectors, here or on workers. Nothing is searched here."""

"""Answers to queries that were not answered in advance, from those that were; and how far such answers may be wrong."""

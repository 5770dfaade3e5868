"""Faults that stored files can have, found by comparing them with each other. Nothing is mended here."""

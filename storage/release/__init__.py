"""Releases: what lies where in one, its manifest, what is kept and what goes. Serving is in `storage/serving`."""

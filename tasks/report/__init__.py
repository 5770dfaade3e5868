"""The report of a release: facts, sections, plots, one HTML page. Nothing is measured here."""

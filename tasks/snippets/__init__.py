"""Snippets of results: `places` finds where terms are in a text, `passage` chooses what is shown. No model is asked."""

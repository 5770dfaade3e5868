"""Judgments: by people in a page of their own, and by a model. What judging is is in ``tasks/judge``."""

"""Judgments from what visitors opened: position-debiased, with a minimum of support, and of users."""

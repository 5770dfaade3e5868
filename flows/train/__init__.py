"""`nightrank train`: flows, promotion, what they print. How models learn is in `tasks/train`."""

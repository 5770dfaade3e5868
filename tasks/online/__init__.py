"""One query answered now by a stored release, and how long that takes. A refresh answers in `tasks/stages`."""

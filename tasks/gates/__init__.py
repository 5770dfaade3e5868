"""What a release must pass before it is published, and what is measured for that."""

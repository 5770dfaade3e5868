"""What was taken down: the list of it, what readers get without it, and whether files still hold something of it."""

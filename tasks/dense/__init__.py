"""The dense leg: exact nearest chunks of each query, from one refresh to the next. Vectors come from `tasks/embed`."""

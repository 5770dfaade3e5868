"""The dense leg: exact nearest texts of each query. Vectors come from `tasks/embed`, lists are in `tasks/legs`."""

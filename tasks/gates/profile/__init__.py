"""What texts, queries and answers of a release look like, and how far that has moved from the live one."""

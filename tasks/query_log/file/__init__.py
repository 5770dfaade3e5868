"""Query logs as files: found, and read row by row. What is made of the rows is in the room above."""

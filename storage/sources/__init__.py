"""Where documents live that are no files here: buckets, databases, others' connectors; and what was got from them."""

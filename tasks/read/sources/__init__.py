"""Documents from where no files lie here: buckets, databases, connectors that are installed."""

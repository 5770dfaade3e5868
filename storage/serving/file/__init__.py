"""Results as one file for a front end: SQLite, Parquet."""

"""How files are written and read: whole, Parquet, DuckDB, text. What they hold is known elsewhere."""

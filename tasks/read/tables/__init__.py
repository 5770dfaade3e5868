"""Tables: how a file of rows is written (CSV, TSV, JSONL, Parquet), and what its columns are taken for."""

"""Where state lives: records, the workspace, LanceDB, DuckDB, the memos and the releases."""

"""What each step of a night does: pure functions on Arrow tables and arrays, and their Prefect tasks."""

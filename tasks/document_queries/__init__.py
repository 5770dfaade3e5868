"""Queries that documents ask themselves: titles, headings, key phrases. People's are in `tasks/query_log`."""

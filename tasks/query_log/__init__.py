"""The query log: rows read, cleaned of robots and personal data, merged, chosen within a budget."""

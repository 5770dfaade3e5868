"""What visitors asked and opened, appended to files by day as it happens; reading them is the query log's matter."""

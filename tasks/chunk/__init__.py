"""Documents cut into chunks: where one may end, and how many tokens it has. Nothing is embedded here."""

"""The example collection: Python's own documentation, a query log and judgments, stored in the package."""

"""`nightrank doctor`: stored files examined against what they were made from."""

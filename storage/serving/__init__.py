"""Releases where front ends look them up: exported files, Redis or Valkey, Postgres; written and read."""

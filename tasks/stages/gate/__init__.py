"""The stage that asks the gates: what they compare, what they keep and what they say. `tasks/gates` decides."""

"""`nightrank tune`: its flow, what it prints, and how it writes a settings file. The search is in `tasks/tune`."""

"""`nightrank evaluate`: its flow, its inputs, what it prints. The measures are in `tasks/evaluate`."""

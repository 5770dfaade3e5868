"""What every model shares: files and fingerprints, tokens, batches, packed execution, cards, the drift check."""

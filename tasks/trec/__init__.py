"""Files of the TREC world: qrels, runs, a run in the place of a leg."""

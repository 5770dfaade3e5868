"""Documents cut into chunks: `boundaries` decides where one ends, among the `pieces` of a text. Nothing is embedded."""

"""What the benchmark programs read: collections, made-up texts, vectors, edits and models, and how long texts are."""

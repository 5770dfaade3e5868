"""How the reranker learns. `tasks/train/embedder` is its mirror image."""

"""How the embedder learns. `tasks/train/reranker` is its mirror image."""

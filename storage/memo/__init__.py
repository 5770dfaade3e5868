"""Values that depend on their key alone and are never computed twice: pair scores, vectors of queries, sparse ones."""

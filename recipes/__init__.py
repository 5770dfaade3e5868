"""How what ships was made: the example collection, the packaged reranker and the learned order. Not installed."""

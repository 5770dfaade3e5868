"""How what ships was made: the example collection and the packaged reranker. Not installed."""

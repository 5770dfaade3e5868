"""How the packaged learned order is made: many small collections, what legs and reranker say there, and the fit."""

"""How the packaged reranker is made, from the data to the folder that ships."""

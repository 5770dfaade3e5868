"""The results file of a release: answers, completions, and which answers near queries get. Serving is elsewhere."""

"""Language models behind OpenAI-compatible APIs: what is asked is paid for once. What is asked is said elsewhere."""

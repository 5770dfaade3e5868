"""What is judged, by whom, and how far they agree. Models are asked in ``tasks/chat``; ``tasks/evaluate`` measures."""

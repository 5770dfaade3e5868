"""What comes in over HTTP and what goes out: checked, bounded, told in plain words. Answers are made outside."""

"""Where state lies, in a folder or in a bucket: the pointer to what is live, locks, models."""

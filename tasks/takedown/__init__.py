"""Taking documents down at once, bringing them back, and erasing them. Readers' side is in `storage/release`."""

"""Each claim of speed or quality, as a program that anyone can run."""

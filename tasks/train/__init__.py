"""What both trainings share: pairs, split, mined negatives, the seal of a new model."""

"""What both trainings share: pairs, split, mined negatives, the commit of a new model."""

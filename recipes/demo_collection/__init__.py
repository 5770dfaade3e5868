"""How the example collection was made, from an installed Python's own documentation."""

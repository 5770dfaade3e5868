"""The bytes of a file as text: which encoding they are in, line feeds, and runs that are no words."""

"""The settings file: one frozen class a section. Which code reads a value is said beside the value."""

"""What surrounds the stages of a refresh: its plan, its end, its summary. The stages are in `tasks/stages`."""

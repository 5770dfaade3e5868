"""An hour on the clock: nights each minute, readers that never stop, and a server and a worker that are killed."""

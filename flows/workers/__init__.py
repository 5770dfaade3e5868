"""Where shards of work run: threads here, Dask or Ray. How work is cut is in `tasks/workers`."""

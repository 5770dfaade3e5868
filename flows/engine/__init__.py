"""All that Nightrank asks of Prefect: flows, names of runs, artifacts, notifications. No step of a refresh is here."""

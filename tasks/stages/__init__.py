"""The stages of a refresh, in the order of `flows/refresh.py`, as Prefect tasks. The other rooms compute."""

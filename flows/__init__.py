"""What runs, in what order: Prefect flows, the settings file and the command line."""

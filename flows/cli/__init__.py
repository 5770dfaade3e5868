"""The command line: what each command takes and which flow it runs. What the flows do is not here."""

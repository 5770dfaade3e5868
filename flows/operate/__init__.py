"""Commands on releases that are there: list, search, report, export, check, remove. None builds one."""

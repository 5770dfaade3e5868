"""Documents read from files: folders of pages, tables, PDF, HTML, ir_datasets. Query logs are in `tasks/query_log`."""

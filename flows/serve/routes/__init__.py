"""What can be asked of the server, a group of routes a module."""

"""Object stores: reading, conditional writes, leases, shared files. What lies there is known to `storage/workspace`."""

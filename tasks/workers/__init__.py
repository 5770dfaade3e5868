"""Work cut into shards, and models on the workers that compute them. Where workers run is in `flows/workers`."""

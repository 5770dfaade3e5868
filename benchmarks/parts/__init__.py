"""What the benchmark programs are made of: nights, races, peers, loads, claims and the machine they are made on."""

"""Inner loops as machine code: top k, scans of postings. They know arrays, not documents."""

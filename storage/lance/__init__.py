"""The chunk table in LanceDB: texts and vectors by content. Which document holds a chunk is in `storage/release`."""

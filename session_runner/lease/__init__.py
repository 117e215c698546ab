"""The shard's lease: kept by one task at a time, proven to its hosts, taken over on evidence."""

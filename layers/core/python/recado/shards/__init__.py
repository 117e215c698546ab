"""Shards: where channels are placed, how a shard is told something, and who may run it."""

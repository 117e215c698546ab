"""The shard's command queue, and what each kind of command does."""

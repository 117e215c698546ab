"""The stacks, split by what they keep: data outlives everything, functions are replaced daily."""

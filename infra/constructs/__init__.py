"""The building blocks that several stacks share."""

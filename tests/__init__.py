"""A package, so that no dependency that ships a package called tests can take its place."""

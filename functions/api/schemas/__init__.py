"""The wire shapes of the API: what integrators send and get, kept apart from the rooms' own models."""

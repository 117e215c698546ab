"""Builds the runner's image on a machine without a container engine."""

"""Hourly copies of every clinic's sessions and configuration, each with a manifest it can be checked against."""

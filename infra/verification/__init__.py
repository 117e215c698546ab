"""Checks of a deployed stage against its AWS account: what only a real account proves (``docs/deploy.md``)."""

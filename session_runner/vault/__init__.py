"""Each session's credentials: on this task's disk, and sealed in S3."""

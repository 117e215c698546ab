"""The way of facts out of the task: to the ingest queue, or to S3 while it takes nothing."""

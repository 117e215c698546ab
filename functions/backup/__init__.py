"""Each hour, copies what has changed of every clinic to the backup bucket."""

"""What every room stands on: ids, errors, the clock and the envelopes. Standard library only."""

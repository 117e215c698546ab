"""What carries a channel towards what is desired of it, and what follows from everything that happens to it."""

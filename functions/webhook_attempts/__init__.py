"""Makes webhook attempts: each order of the deliveries queue is one HTTP try."""

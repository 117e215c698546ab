"""Each minute, moves webhook attempts that fall due to the deliveries queue."""

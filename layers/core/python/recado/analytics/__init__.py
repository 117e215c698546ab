"""Analytics: how much each clinic's channels send and receive."""

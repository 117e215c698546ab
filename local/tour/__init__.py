"""Types the README's tour into a real shell and holds each answer against what the README promises."""

"""The recorder: turns what runners saw into the message log, channel states and events, each fact once."""

"""The embedded world: a simulated flood with exact truth, in the formats of the real archives."""

"""flood."""

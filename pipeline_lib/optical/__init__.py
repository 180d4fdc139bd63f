"""optical."""

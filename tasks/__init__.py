"""Tasks: each a thin wrapper that gives one step of the library a name, retries and a place in the Prefect UI."""

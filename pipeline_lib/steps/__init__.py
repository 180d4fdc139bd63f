"""Steps: one function for each thing a run or a command does; open, compute, save, and nothing of Prefect."""

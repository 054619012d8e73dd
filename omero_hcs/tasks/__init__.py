"""One file a task: its parameters, and plan, work and finish."""

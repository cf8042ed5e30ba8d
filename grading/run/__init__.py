"""From a repaired notebook to a verdict: jobs, each in a sandbox, judged outside of it."""

"""The instructor's half of the course: hand out, collect, repair, run in a sandbox, judge, record, and tell."""

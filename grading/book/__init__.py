"""nbgrader's gradebook, the facts in it, and what they are worth."""

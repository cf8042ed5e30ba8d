"""From the course's sources to assignments: rehearsed, frozen, entered in nbgrader's gradebook, handed out."""

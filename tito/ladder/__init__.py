"""Help in steps: what went wrong, the idea behind the answer, the shape of the answer; and the reference once everything passes."""

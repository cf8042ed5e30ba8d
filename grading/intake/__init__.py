"""What is handed in: read from folders and archives that nobody trusts, matched with students, every version kept."""

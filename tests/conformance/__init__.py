"""Is every operation of modules 01 to 05 the same as torch's?  One table of operations (`operations`), and all tests are made from it."""

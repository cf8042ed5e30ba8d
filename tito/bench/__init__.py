"""What a student's library costs beside NumPy by hand, and beside torch where that is installed: `tito bench`."""

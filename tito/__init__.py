"""tito: the command line of TinyTorch, and everything a student needs to check, export and keep their work."""

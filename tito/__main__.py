"""`python3 -m tito …`: works in a fresh clone, before anything is installed.

Even Python 2 can parse this file, and Python 3.8 the two it leads to, so that an old Python hears what is wrong.
"""

import os
import sys

if sys.version_info < (3, 8):
    sys.stderr.write("error: this Python is too old\nwhy:   it is Python %d.%d; TinyTorch needs 3.11 or newer\n"
                     "fix:   install a newer one from python.org, then run this command with it\n" % sys.version_info[:2])
    sys.exit(3)

if not __package__:                     # `python3 path/to/tito` puts tito/ itself on the path
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from tito import bootstrap

if __name__ == "__main__":
    bootstrap.enter()

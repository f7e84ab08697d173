"""`python -m tensornet_keras` is the command `tensornet`."""

import sys

from tensornet_keras.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""Runnable comparisons and reproductions: one runner, short configs."""

import os

# TensorFlow reads this once, when it is loaded; a user's own value stays.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

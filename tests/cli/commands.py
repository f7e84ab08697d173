"""Commands, run in this process."""

from tensornet_keras import cli


def run(*words):
    return cli.main([str(word) for word in words])

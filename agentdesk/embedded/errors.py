class CannotStart(Exception):
    """The desk cannot start. The message is one line for the person at the terminal: what is wrong and the way out."""

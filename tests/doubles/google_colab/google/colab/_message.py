"""The error that a message to the browser ends with."""


class MessageError(Exception):
    """The browser answered with an error."""

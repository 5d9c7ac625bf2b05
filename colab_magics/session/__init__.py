"""What ``%session`` tells of the machine: how long it has lived, what is left, what is free."""

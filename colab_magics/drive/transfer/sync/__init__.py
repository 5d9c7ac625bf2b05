"""Two folders that are kept alike: what changed on either side is copied to the other."""

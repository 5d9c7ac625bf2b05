"""``%setup``: what is recorded, how it stands, and how it is written or forgotten."""

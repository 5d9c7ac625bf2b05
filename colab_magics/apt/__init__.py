"""``%apt``: packages of the system, where dpkg does not have them yet."""

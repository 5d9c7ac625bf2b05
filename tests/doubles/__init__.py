"""Stand-ins for software that the test machine does not have."""

"""Files from elsewhere: whole, the same on every machine, and never over a person's own."""

"""Version pinning: what is asked for, what is installed, and installing what differs."""

"""Files to and from a drive, by the mount or by Google's interface: resumed, verified, retried."""

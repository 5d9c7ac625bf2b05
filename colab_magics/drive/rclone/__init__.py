"""A drive that rclone mounts: its remotes, its mount, its cache of what is not sent yet."""

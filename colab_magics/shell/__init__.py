"""What a shell would do: the working directory."""

"""What is brought here from elsewhere: repositories, files, system packages."""

"""The machine and the kernel: how long they have lived, what time and space remain."""

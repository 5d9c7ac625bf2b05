"""``%checkpoint``: files, variables and finished cells, kept where a wipe does not reach them."""

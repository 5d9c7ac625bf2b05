"""Turn hand-written setup of a notebook into the lines of a setup cell; nothing is executed."""

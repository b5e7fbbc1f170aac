"""Nothing at all: what a tool adds to the start."""

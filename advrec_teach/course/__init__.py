"""The course machine: build, run, measure; imported only by the command line."""

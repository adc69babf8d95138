"""`python -m bench` is `fairchip`."""

from bench.cli import main

main()

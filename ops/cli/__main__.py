"""`python -m ops.cli`: the same as the command `earshot`."""

from ops.cli.main import main

if __name__ == "__main__":
    main()

"""``python -m eventsnn`` is the command line."""

from eventsnn.cli.app import main

if __name__ == "__main__":
    main()

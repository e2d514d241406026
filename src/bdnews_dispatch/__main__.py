"""python -m bdnews_dispatch"""

from bdnews_dispatch.cli import main

if __name__ == "__main__":
    main()

"""`python -m voicegw` is the same as `voicegw`."""

from voicegw.cli import main

main()

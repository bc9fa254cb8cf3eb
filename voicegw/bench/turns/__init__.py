"""How natural the turns are: cut-offs, waits, interruptions, on human speech in noise, on virtual time."""

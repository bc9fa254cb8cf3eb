"""The heart: the rules of one call. Pure: no await, no clock, no socket, no file; time is an argument.

`Ear` hears the caller, `Mouth` holds what the agent says, `Call` decides. Events come in, commands go out.
All times named `now` are integer microseconds since the call began; all places in audio are samples at
16 kHz since the call's first sample.
"""

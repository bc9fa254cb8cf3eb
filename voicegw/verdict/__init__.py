"""From a call's events, times and audio to what its caller experienced. Pure."""

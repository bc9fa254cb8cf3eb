"""Sound as numbers: pcm, levels, voice detection, resampling, WAV. Pure: bytes in, bytes out."""

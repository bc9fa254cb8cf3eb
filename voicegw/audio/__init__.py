"""Sound as numbers: pcm, levels, voice detection, resampling, WAV. Pure: arrays and bytes in, the same out."""

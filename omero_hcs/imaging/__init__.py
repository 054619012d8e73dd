"""Arrays in, arrays out: normalise, segment, crop, and hand-made quality metrics."""

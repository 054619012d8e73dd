// Empty. Slice.cpp includes eval.h, which Python 3.11 no longer has; what it declared is in Python.h.

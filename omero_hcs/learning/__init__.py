"""Encoders, embeddings, heads and model files: the only place that imports torch."""

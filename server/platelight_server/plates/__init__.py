"""The only door to disk for pixels: sequences in, layers out, headers, mattes, and what is known about each file."""

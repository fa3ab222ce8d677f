"""Training HarmoVid's two networks, and the data for it. Loads torch only where a network is built."""

"""AnyPortal (Gao, Lan, Yang 2025): motion-aware background, two-step light harmonization, refinement projection."""

"""The Platelight server: plates in, light change out. Needs the `server` extra; heavy imports stay in the modules that use them."""

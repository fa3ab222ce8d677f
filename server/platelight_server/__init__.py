"""The Platelight server: plates in, light change out. Needs the `server` extra, imported where it is used."""

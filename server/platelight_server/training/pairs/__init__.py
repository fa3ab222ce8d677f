"""The makers of training pairs: the paper's three stages, from folders of clips with mattes to a dataset folder."""

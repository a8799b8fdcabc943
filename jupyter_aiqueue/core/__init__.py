"""The vocabulary and the wire; knows neither tornado nor IPython."""

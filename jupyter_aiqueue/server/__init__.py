"""The Jupyter Server extension: records jobs, watches the load, answers the browser."""

"""The notebook's side: magics, the panel, and how jobs and the load are shown."""

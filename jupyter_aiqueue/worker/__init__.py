"""The worker: takes jobs and runs them as subprocesses. Start at `app.Worker`."""

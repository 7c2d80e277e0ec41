"""The service without Ray: settings, HTTP, jobs and their files, the work itself. `jobs/serve.py` puts it on Ray Serve."""

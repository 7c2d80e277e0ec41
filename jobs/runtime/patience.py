"""How long to wait for Ray: all of its short deadlines, in one place, set for a slow laptop with both cores busy.

Ray's own are for servers. None of these makes anything slower: each only says when to give up, on what would have come.
What is dead is noticed by its closed connection, at once. Ray and its processes read them from the environment, so
`jobs` sets them when it is imported, before Ray starts; what the environment has already holds. A Ray that others
started (`ray start`) has the deadlines that it was started with.
"""

import os

START_SECONDS = 600.0
"""For a node to come up, Ray's is 30, not to be set: two agents that import for seconds come before it."""

ENVIRONMENT = {
    # The node: its processes wait for each other, and each imports for seconds.
    "RAY_gcs_server_port_wait_time_s": "300",  # 30: the driver, for the GCS
    "RAY_py_gcs_connect_timeout_s": "120",  # 30: every Python process, for the GCS
    "RAY_gcs_rpc_server_connect_timeout_s": "60",  # 5: the raylet and each worker, for the GCS
    "RAY_agent_register_timeout_ms": "300000",  # 30,000: the raylet, for its agents; it ends without them
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300",  # 60: where there is a dashboard
    "RAY_health_check_timeout_ms": "60000",  # 10,000, five times: a raylet that gets no core is not dead
    # Workers: at nice 15, so whatever else is busy goes first.
    "RAY_worker_register_timeout_seconds": "300",  # 60: a worker that is still importing is killed and begun again
    "RAY_raylet_client_connect_timeout_milliseconds": "10000",  # 1,000, ten times: a worker, for its raylet
    # Train: a group that is late is given up, which costs one of the run's failures.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",  # 60: all workers import torch at once
    # Serve: a proxy that is late is killed; after three, `serve run` ends.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",  # 5
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",  # 10, three times: then it is killed with all its connections
    # And the one deadline that Serve lacks: for the headers of a request.
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "jobs.serving.connections:configure",
}

SERVING_SECONDS = 600.0
"""For Serve's proxies to answer, Ray's is 60, not to be set (`HTTP_PROXY_TIMEOUT`)."""

REPLICA_HEALTH_SECONDS = 60.0
"""For a replica's answer to a health check, Ray's is 30, three times: one that decodes on a busy core is not ill."""


def set_deadlines() -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def wait_for_proxies() -> None:
    """Once Serve is imported."""
    from ray.serve._private import api, client

    for module in (api, client):
        vars(module)["HTTP_PROXY_TIMEOUT"] = SERVING_SECONDS

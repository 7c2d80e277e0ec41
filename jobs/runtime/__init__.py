"""The edge to Ray: clusters, pools of actors, progress, costs, and the pipelines that the commands run."""

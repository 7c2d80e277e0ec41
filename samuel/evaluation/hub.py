"""Whether the Hugging Face hub can be asked now: where it cannot, its client tries each file for half a minute."""

from pathlib import Path


def answers(repository: str) -> bool:
    """Whether the hub says anything of a repository, be it that access is denied."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(repository, timeout=10)
    except HfHubHTTPError:
        return True
    except Exception:  # no network, no name, offline by setting: some dozen kinds
        return False
    return True


def only_here(weights: str) -> bool:
    """Whether weights, a folder or a name on the hub, are to be looked for on this machine alone."""
    return Path(weights).is_dir() or not answers(weights)

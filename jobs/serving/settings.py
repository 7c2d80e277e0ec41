"""What whoever runs the service can choose.

Arguments of the app (`serve run jobs.serve:app checkpoint=runs/first`, or `args:` in a config file); each has an
environment variable SAMUEL_<NAME> as its default. Secrets come from the environment alone: arguments are shown in
Ray's dashboard.
"""

import hashlib
import os
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

TOKENS = "SAMUEL_TOKENS"
"""Bearer tokens that may make accompaniments, separated by commas; unset: anybody may."""


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str | None = Field(
        default=None, description="A run or a checkpoint, local or s3://; the one in the package if unset."
    )
    codec: str = "mini"
    separator: str = "auto"
    device: str = Field(
        default="auto", pattern="^(auto|cpu|cuda)$", description="auto: cuda where the cluster has a GPU."
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Of a worker on the CPU; by default all cores of its machine, in turn with others.",
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        description="Windows denoised together, at most; by default 16 on a GPU, 1 on a CPU.",
    )
    samplers: int = Field(
        default=1, ge=1, description="Replicas of the sampler, at most; it begins with one."
    )
    coders: int = Field(default=1, ge=1, description="Replicas of the coder, at most; it begins with one.")

    places: int = Field(
        default=32, ge=1, description="Accompaniments accepted at once; further ones are refused with 429."
    )
    keep_minutes: float = Field(default=60.0, gt=0, description="How long results stay.")
    keep_jobs: int = Field(default=500, ge=1, description="How many results stay.")
    spool: str | None = Field(
        default=None,
        description="Where jobs and results lie, local or s3://; by default a folder of this Ray session.",
    )

    max_bytes: int = Field(default=100_000_000, ge=1, description="Of an upload.")
    max_seconds: float = Field(default=600.0, gt=0, description="Of a recording.")
    max_decode_seconds: float = Field(default=60.0, gt=0, description="Of work to read a recording.")
    max_upload_seconds: float = Field(default=120.0, gt=0, description="Until an upload must be there.")
    max_variations: int = Field(default=4, ge=1)
    max_steps: int = Field(default=100, ge=1, description="Of the sampler, where a client says how many.")
    max_job_seconds: float = Field(default=3600.0, gt=0, description="From acceptance to result.")
    rate_limit: str | None = Field(
        default=None,
        description="Accompaniments a client (token, or address) may ask for: '10/minute', '100/hour'.",
    )
    cors_origins: str = Field(
        default="", description="Origins of other pages that may call, separated by commas."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_environment(cls, given: dict[str, Any]) -> dict[str, Any]:
        names = {name: f"SAMUEL_{name.upper()}" for name in cls.model_fields}
        return {name: os.environ[key] for name, key in names.items() if os.environ.get(key)} | given

    @model_validator(mode="after")
    def _check(self) -> "Settings":
        if self.rate_limit:
            from limits import parse

            parse(self.rate_limit)  # ValueError, now rather than at the first request
        return self


def token_digests() -> frozenset[str]:
    """SHA-256 of each token in the environment: what is kept of them."""
    tokens = (token.strip() for token in os.environ.get(TOKENS, "").split(","))
    return frozenset(digest(token) for token in tokens if token)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

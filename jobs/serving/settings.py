"""What whoever runs the service can choose.

Arguments of the app (`serve run jobs.serve:app checkpoint=runs/first`, or `args:` in a config file); each has an
environment variable SAMUEL_<NAME> as its default. Secrets come from the environment alone: arguments are shown in
Ray's dashboard.
"""

import hashlib
import ipaddress
import os
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

TOKENS = "SAMUEL_TOKENS"
"""Bearer tokens that may make accompaniments, separated by commas; unset: anybody may."""


FORMER_NAMES = {"samplers": "denoiser_replicas", "coders": "codec_replicas"}
"""Of settings that were renamed: what users have written stays valid."""


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
    denoiser_replicas: int = Field(default=1, ge=1, description="At most; it begins with one.")
    codec_replicas: int = Field(default=1, ge=1, description="At most; it begins with one.")

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
    max_decode_seconds: float = Field(
        default=20.0, gt=0, description="Of a core's work to read a recording: 10 minutes at 96 kHz take 13."
    )
    max_upload_seconds: float = Field(default=300.0, gt=0, description="Until an upload must be there.")
    min_upload_rate: float = Field(
        default=16_000.0, gt=0, description="Bytes a second of an upload, on average after its first 10 s."
    )
    max_uploads: int = Field(default=256, ge=1, description="Uploads on their way at once.")
    max_listeners: int = Field(
        default=128,
        ge=2,
        description="Sounds, streams and events on their way at once; half of them to a client.",
    )
    conversions: int = Field(
        default=4, ge=1, description="Sounds joined, mixed or converted at once; further ones wait."
    )
    max_variations: int = Field(default=4, ge=1)
    max_steps: int = Field(default=100, ge=1, description="Of the sampler, where a client says how many.")
    max_job_seconds: float = Field(default=3600.0, gt=0, description="From acceptance to result.")
    rate_limit: str | None = Field(
        default=None,
        description="Accompaniments a client (token, or address) may ask for: '10/minute', '100/hour'.",
    )
    download_limit: str | None = Field(
        default=None, description="Sounds and streams that a client may ask for: '120/minute'."
    )
    trusted_proxies: str = Field(
        default="127.0.0.1,::1",
        description="Addresses or networks, separated by commas, whose X-Forwarded-For says who the client is.",
    )
    cors_origins: str = Field(
        default="", description="Origins of other pages that may call, separated by commas."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_environment(cls, given: dict[str, Any]) -> dict[str, Any]:
        names = {name: name for name in cls.model_fields} | FORMER_NAMES
        keys = {old: f"SAMUEL_{old.upper()}" for old in names}
        found = {names[old]: os.environ[key] for old, key in keys.items() if os.environ.get(key)}
        return found | {names.get(old, old): value for old, value in given.items()}

    @model_validator(mode="after")
    def _check(self) -> "Settings":
        for rate in filter(None, (self.rate_limit, self.download_limit)):
            from limits import parse

            parse(rate)  # ValueError, now rather than at the first request
        for proxy in self.trusted_proxies.split(","):
            if proxy.strip() not in ("", "*"):
                ipaddress.ip_network(proxy.strip())  # ValueError for what is no address and no network
        return self


def token_digests() -> frozenset[str]:
    """SHA-256 of each token in the environment: what is kept of them."""
    tokens = (token.strip() for token in os.environ.get(TOKENS, "").split(","))
    return frozenset(digest(token) for token in tokens if token)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

"""Entry points: the only code that imports Ray. `jobs` is imported before `ray`: it sets Ray's environment."""

import os
import sys

from jobs.runtime.patience import set_deadlines

set_deadlines()
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # workers share this environment; no second one
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the coming default, without its warning
os.environ.setdefault(
    "OMP_WAIT_POLICY", "passive"
)  # torch's threads sleep while they wait for each other, so that
# beside other busy processes they take no more than one thread would, where spinning takes many times as much
os.environ.setdefault("PYTHONWARNINGS", "ignore")  # packages' own, which every worker would print again

if constants := sys.modules.get("ray._private.ray_constants"):  # `serve run` has imported Ray before
    vars(constants)["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "1"

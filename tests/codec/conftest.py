"""One thread: the networks here are small, and two threads that wait for each other on a busy machine are slow."""

import torch

torch.set_num_threads(1)

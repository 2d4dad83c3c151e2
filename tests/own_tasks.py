"""Environments for the tests: spaces that a Q-network can have, and those that it cannot."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete


class Walk(gym.Env):
    """Five numbers; an action shrinks one of them. The observation is one array, changed in place.

    An episode terminates where all are small; an array that a caller kept would change under it.
    """

    observation_space = Box(-1, 1, (5,))

    def __init__(self, actions: int = 5, start: int = 0, space: gym.Space | None = None):
        self.action_space = Discrete(actions, start=start)
        self.observation_space = space or self.observation_space
        self.state = np.zeros(5, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state[:] = self.np_random.uniform(-1, 1, 5)
        return self.state, {}

    def step(self, action):
        self.state[action] *= 0.5
        size = float(np.abs(self.state).max())
        return self.state, -size, size < 0.2, False, {}


class Continuous(Walk):
    action_space = Box(-1, 1, (2,))

    def __init__(self):
        self.state = np.zeros(5, np.float32)


gym.register("Walk-v0", entry_point="own_tasks:Walk", max_episode_steps=20)
gym.register("Three-v0", entry_point="own_tasks:Walk", max_episode_steps=20, kwargs={"actions": 3})
gym.register("One-v0", entry_point="own_tasks:Walk", max_episode_steps=20, kwargs={"actions": 1})
gym.register("Late-v0", entry_point="own_tasks:Walk", kwargs={"start": 2})
gym.register("Endless-v0", entry_point="own_tasks:Walk")
gym.register(
    "Dict-v0", entry_point="own_tasks:Walk", kwargs={"space": Dict({"a": Box(0, 1, (5,))})}
)
gym.register("Image-v0", entry_point="own_tasks:Walk", kwargs={"space": Box(0, 1, (4, 4, 3))})
gym.register("Continuous-v0", entry_point="own_tasks:Continuous")

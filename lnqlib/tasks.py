"""The four tasks: Gymnasium's classic control as plain scalar functions that numba compiles.

| task | mirrors (Gymnasium 1.4.0) | state | observation |
|---|---|---|---|
| CartPole | CartPole-v1 | x, x', theta, theta' | the state |
| Acrobot | Acrobot-v1 | theta1, theta2, theta1', theta2' | cos, sin of both angles, velocities |
| MountainCar | MountainCar-v0 | position, velocity | the state |
| Pendulum | Pendulum-v1, torque in {-2, 0, 2} | theta, theta' | cos theta, sin theta, theta' |

A state is a float64 array of length 4, unused entries 0, that a step updates in place; as in
Gymnasium only the observation is rounded to float32. Time limits are the caller's: a step never
truncates.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from .compiled import njit
from .own.names import is_own
from .spec import ENVS

STATE_SIZE = 4  # entries of every state array, whatever the task
CARTPOLE, ACROBOT, MOUNTAIN_CAR, PENDULUM = range(len(ENVS))
OUTSIDE = -1  # the index of a task that is not compiled here; Gymnasium plays it

# error_model: a division by zero gives inf as in numpy, with no branch around every quotient
# fastmath: numba lets a function without a value of its own take its caller's and caches it so; one
# compiled first within a kernel of the engine would round differently ever after
compiled = njit(nogil=True, cache=True, error_model="numpy", fastmath=False)


@dataclass(frozen=True)
class Task:
    """What a caller has to know of a task; `index` is its place in `spec.ENVS`, or `OUTSIDE`.

    `time_limit` is None for an environment of Gymnasium that has none.
    """

    name: str
    gym_id: str
    index: int
    obs_dim: int
    num_actions: int
    state_dim: int
    time_limit: int | None
    source: str = ""  # a digest of the module that the name names, as `extensions.digest`


class _Tasks(dict[str, Task]):
    def __missing__(self, env: str) -> Task:
        if not is_own("env", env):
            raise KeyError(env)
        from .own.gym_tasks import task  # here, for it imports what the id names

        return task(env)


TASKS = _Tasks(
    (task.name, task)
    for task in (
        Task("CartPole", "CartPole-v1", CARTPOLE, 4, 2, 4, 500),
        Task("Acrobot", "Acrobot-v1", ACROBOT, 6, 3, 4, 500),
        Task("MountainCar", "MountainCar-v0", MOUNTAIN_CAR, 2, 3, 2, 200),
        Task("Pendulum", "Pendulum-v1", PENDULUM, 3, 3, 2, 200),
    )
)
"""The four tasks by name; `TASKS["CartPole-v1"]` and any other Gymnasium id is answered, too."""


def isometry_sizes(env: str) -> dict[str, int]:
    """App. C and E's k for each ISO_k: o = obs_dim, m = num_actions, p = o + m, t = o m, and 3."""
    o, m = TASKS[env].obs_dim, TASKS[env].num_actions
    return {"iso_o": o, "iso_p": o + m, "iso_t": o * m, "iso_3": 3}


@compiled
def clip(x, low, high):
    return min(max(x, low), high)


@compiled
def cartpole_step(state, action):
    """CartPole-v1: Euler step of 0.02 s, force +-10 N, reward 1 on every step, the last included.

    Terminated where |x| > 2.4 or |theta| > 12 degrees.
    """
    x, x_dot, theta, theta_dot = state[0], state[1], state[2], state[3]
    gravity, total_mass, pole_mass, pole_moment = 9.8, 1.1, 0.1, 0.05  # length 0.5
    dt = 0.02
    c, s = cos(theta), sin(theta)
    force = 10.0 if action == 1 else -10.0
    temp = (force + pole_moment * theta_dot**2 * s) / total_mass
    theta_acc = (gravity * s - c * temp) / (0.5 * (4.0 / 3.0 - pole_mass * c**2 / total_mass))
    x_acc = temp - pole_moment * theta_acc * c / total_mass
    x += dt * x_dot
    theta += dt * theta_dot
    state[0], state[1] = x, x_dot + dt * x_acc
    state[2], state[3] = theta, theta_dot + dt * theta_acc
    return 1.0, abs(x) > 2.4 or abs(theta) > 12 * 2 * pi / 360


@compiled
def acrobot_acceleration(theta1, theta2, dtheta1, dtheta2, torque):
    """Sutton and Barto's ("book") dynamics: masses, lengths and moments 1, centres 0.5, g 9.8."""
    s1, c1, s2, c2 = sin(theta1), cos(theta1), sin(theta2), cos(theta2)
    d1 = 3.5 + c2
    d2 = 1.25 + 0.5 * c2
    phi2 = 4.9 * (s1 * c2 + c1 * s2)  # sin(theta1 + theta2) without a further call
    phi1 = 14.7 * s1 + phi2 - 0.5 * s2 * dtheta2 * (dtheta2 + 2.0 * dtheta1)
    ratio = d2 / d1
    ddtheta2 = (torque + ratio * phi1 - 0.5 * s2 * dtheta1**2 - phi2) / (1.25 - d2 * ratio)
    return -(d2 * ddtheta2 + phi1) / d1, ddtheta2


@compiled
def wrap_angle(x):
    """`x` in [-pi, pi] as Acrobot wraps it: both ends stay where they are."""
    while x > pi:
        x -= 2 * pi
    while x < -pi:
        x += 2 * pi
    return x


@compiled
def acrobot_step(state, action):
    """Acrobot-v1: one Runge-Kutta step of 0.2 s, torque -1, 0 or 1, reward -1 and 0 at the goal.

    Terminated where the tip is above the line, -cos theta1 - cos(theta1 + theta2) > 1.
    """
    p1, p2, v1, v2 = state[0], state[1], state[2], state[3]
    torque = float(action - 1)
    dt = 0.2
    half = 0.1
    # k-th slopes: velocities u, w and accelerations a, b of the first and the second joint
    a1, b1 = acrobot_acceleration(p1, p2, v1, v2, torque)
    u2, w2 = v1 + half * a1, v2 + half * b1
    a2, b2 = acrobot_acceleration(p1 + half * v1, p2 + half * v2, u2, w2, torque)
    u3, w3 = v1 + half * a2, v2 + half * b2
    a3, b3 = acrobot_acceleration(p1 + half * u2, p2 + half * w2, u3, w3, torque)
    u4, w4 = v1 + dt * a3, v2 + dt * b3
    a4, b4 = acrobot_acceleration(p1 + dt * u3, p2 + dt * w3, u4, w4, torque)
    sixth = dt / 6.0
    p1 = wrap_angle(p1 + sixth * (v1 + 2 * u2 + 2 * u3 + u4))
    p2 = wrap_angle(p2 + sixth * (v2 + 2 * w2 + 2 * w3 + w4))
    state[0], state[1] = p1, p2
    state[2] = clip(v1 + sixth * (a1 + 2 * a2 + 2 * a3 + a4), -4 * pi, 4 * pi)
    state[3] = clip(v2 + sixth * (b1 + 2 * b2 + 2 * b3 + b4), -9 * pi, 9 * pi)
    terminated = -cos(p1) - cos(p1 + p2) > 1.0
    return 0.0 if terminated else -1.0, terminated


@compiled
def mountain_car_step(state, action):
    """MountainCar-v0: reward -1 on every step, the last included; an inelastic wall at -1.2.

    Terminated where the position is 0.5 or more and the velocity is not negative.
    """
    position, velocity = state[0], state[1]
    velocity += (action - 1) * 0.001 - 0.0025 * cos(3 * position)
    velocity = clip(velocity, -0.07, 0.07)
    position = clip(position + velocity, -1.2, 0.6)
    if position == -1.2 and velocity < 0:
        velocity = 0.0
    state[0], state[1] = position, velocity
    return -1.0, position >= 0.5 and velocity >= 0


@compiled
def pendulum_step(state, action):
    """Pendulum-v1 with torque -2, 0 or 2: semi-implicit Euler step of 0.05 s, |theta'| <= 8.

    Reward -(theta^2 + 0.1 theta'^2 + 0.001 torque^2) of the state before the step, its theta taken
    to [-pi, pi); the state keeps theta as it is. Never terminated.
    """
    theta, theta_dot = state[0], state[1]
    torque = 2.0 * (action - 1)
    dt = 0.05
    angle = (theta + pi) % (2 * pi) - pi
    cost = angle**2 + 0.1 * theta_dot**2 + 0.001 * torque**2
    theta_dot = clip(theta_dot + (15.0 * sin(theta) + 3.0 * torque) * dt, -8.0, 8.0)
    state[0], state[1] = theta + theta_dot * dt, theta_dot
    return -cost, False


@compiled
def step(index, state, action):
    """One step of the task at `index` in `spec.ENVS`.

    **Arguments**

    - `state`: float64 (4,), updated in place.
    - `action`: 0 ... num_actions - 1.

    **Returns** (reward, terminated).
    """
    if index == CARTPOLE:
        return cartpole_step(state, action)
    if index == ACROBOT:
        return acrobot_step(state, action)
    if index == MOUNTAIN_CAR:
        return mountain_car_step(state, action)
    return pendulum_step(state, action)


@compiled
def observe(index, state, obs):
    """Writes what the task at `index` shows of `state` into `obs`, float32 (obs_dim,)."""
    if index == CARTPOLE:
        obs[0], obs[1], obs[2], obs[3] = state[0], state[1], state[2], state[3]
    elif index == ACROBOT:
        obs[0], obs[1] = cos(state[0]), sin(state[0])
        obs[2], obs[3] = cos(state[1]), sin(state[1])
        obs[4], obs[5] = state[2], state[3]
    elif index == MOUNTAIN_CAR:
        obs[0], obs[1] = state[0], state[1]
    else:
        obs[0], obs[1], obs[2] = cos(state[0]), sin(state[0]), state[1]


def start_states(task: Task, n: int, rng: np.random.Generator, widened: bool = False) -> np.ndarray:
    """`n` start states, float64 (n, 4), drawn as the Gymnasium environment's `reset` draws them.

    `widened` starts MountainCar and Pendulum anywhere, as `reset(options=...)` can: MountainCar at
    a position in [-1.2, 0.6] at rest, Pendulum at any angle with a velocity in [-8, 8].

    For a task that Gymnasium plays, the seeds of `n` resets, int64 (n,).
    """
    if task.index == OUTSIDE:
        return rng.integers(2**31, size=n)
    high = {
        CARTPOLE: (0.05, 0.05, 0.05, 0.05),
        ACROBOT: (0.1, 0.1, 0.1, 0.1),
        MOUNTAIN_CAR: (0.6 if widened else -0.4, 0.0),
        PENDULUM: (pi, 8.0 if widened else 1.0),
    }[task.index]
    low = tuple(-h for h in high)
    if task.index == MOUNTAIN_CAR:
        low = (-1.2 if widened else -0.6, 0.0)
    states = _uniform(low, high, n, rng)
    # Gymnasium rounds Acrobot's start, and no other
    return states.astype(np.float32).astype(np.float64) if task.index == ACROBOT else states


def uniform_states(task: Task, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` states spread evenly over MountainCar's or Pendulum's state space, float64 (n, 4).

    **Raises** `ValueError` for CartPole and Acrobot, whose states have no such box here.
    """
    if task.index == MOUNTAIN_CAR:
        return _uniform((-1.2, -0.07), (0.6, 0.07), n, rng)
    if task.index == PENDULUM:
        return _uniform((-pi, -8.0), (pi, 8.0), n, rng)
    raise ValueError(
        f"task is {task.name}; uniform states exist for MountainCar and Pendulum; "
        "write start_states for the others"
    )


def _uniform(
    low: tuple[float, ...], high: tuple[float, ...], n: int, rng: np.random.Generator
) -> np.ndarray:
    states = np.zeros((n, STATE_SIZE))
    states[:, : len(low)] = rng.uniform(low, high, (n, len(low)))
    return states

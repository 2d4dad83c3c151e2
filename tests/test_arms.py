"""Each arm of the engine against the torch reference; what holds if an arm is what it says."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from test_engine import batches, distance

from lnqlib import engine, run, training
from lnqlib.arms import definition
from lnqlib.arms.definition import FALLBACK, MET, Setting, overshoot_rate, weighting
from lnqlib.arms.reference import ArmLearner, Backward, Bounded, Forward
from lnqlib.engine import fused
from lnqlib.engine.fused_arms import OWN, FusedArmLearner, kernel
from lnqlib.engine.greedy import greedy_return
from lnqlib.engine.structured import structured_isometry
from lnqlib.networks import Params
from lnqlib.results import RECORDED
from lnqlib.run import dataset_of, initial_params_of
from lnqlib.spec import ARMS, ENVS, RunSpec, SpecError
from lnqlib.store import Store
from lnqlib.sweep import sweep
from lnqlib.tasks import TASKS, start_states

NAMES = ("W", "b", "V", "c")
STEPS = 100
INTERVENTIONS = [(arm, norm) for arm in ARMS for norm in ARMS[arm]]
SPEC = RunSpec("Pendulum", lr=1e-2, steps=STEPS, checkpoints=5, eval_episodes=0)


@cache
def record(twin: RunSpec | None) -> dict[str, np.ndarray]:
    return engine.train(twin).curves if twin else {}


def learner(make, spec: RunSpec, follows: dict | None = None):
    """A learner at the start of its run; `follows` is the twin's record, else that of the twin."""
    dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
    arguments = spec, dataset, initial_params_of(spec)
    if make in (fused.FusedLearner, training.TorchLearner):
        return make(*arguments)
    return make(*arguments, record=record(spec.twin) if follows is None else follows)


def advance(trained, stops: tuple[int, ...] = (0, 1, *range(20, STEPS + 1, 20))) -> list:
    """Trains along the run's own batches, in stretches that end at `stops`."""
    spec = trained.spec
    rows, lrs = batches(spec, stops[-1]), np.full(stops[-1], spec.lr)
    return [trained.advance(a, rows[a:b], lrs[a:b]) for a, b in pairwise(stops)]


def after(make, spec: RunSpec, steps: int = STEPS, **how) -> Params:
    trained = learner(make, spec, **how)
    advance(trained, (0, steps))
    return trained.params()


def same_bits(ours: Params, theirs: Params) -> bool:
    return all(np.array_equal(ours[name], theirs[name]) for name in NAMES)


# --- the engine against torch ---------------------------------------------------------------

COMPARED = [(arm, norm, "none") for arm, norm in INTERVENTIONS] + [("forward", "none", "project")]
OFTEN = ("CartPole",)
GRID = [
    pytest.param(env, bias, marks=[] if bias and env in OFTEN else [pytest.mark.slow])
    for env, bias in itertools.product(ENVS, (True, False))
]


def marked(arm: str, norm: str, checkpoints: int = 5) -> dict[str, np.ndarray]:
    """A record under which every arm has something to do from the first checkpoint on."""
    curves = {"weight_norm": np.linspace(2.0, 3.0, checkpoints), "td_loss": np.ones(checkpoints)}
    curves["weight_norm"][0] = 1.0
    # without LN, some checkpoints at which a shorter step will do and some at which none will
    curves["gi2_minibatch"] = np.full(checkpoints, -0.02)
    curves["gi2_minibatch"][1::2] *= -1 if norm == "none" else 1
    # eta B / A of 4, so that LN's steps are raised until they take too little
    return curves | {"iso_p": np.full(checkpoints, 0.2), "dgi": np.ones(checkpoints)}


def rate(arm: str, norm: str) -> float:
    """A learning rate at which rounding does not grow and, with `overshoot`, None's steps do."""
    if arm == "overshoot":
        return 1e-1 if norm == "none" else 1e-2
    return 1e-3 if "isometry" in arm else 1e-2


@pytest.mark.parametrize(("env", "bias"), GRID)
@pytest.mark.parametrize(("arm", "norm", "control"), COMPARED)
def test_arms_agree_with_torch(env, bias, arm, norm, control) -> None:
    changes = {"arm": arm, "norm": norm, "lr": rate(arm, norm), "lr_control": control}
    spec = replace(SPEC, env=env, bias=bias, **changes)
    made = [learner(make, spec, marked(arm, norm)) for make in (FusedArmLearner, ArmLearner)]
    rows, lrs = batches(spec, STEPS), np.full(STEPS, spec.lr)
    rates = []
    # steps so long that none falls much below the loss make rounding larger, too
    steps = 20 if (arm, norm) == ("overshoot", "layer") else STEPS
    for first, last in pairwise((0, 1, *range(20, steps + 1, 20))):
        a, b = (x.advance(first, rows[first:last], lrs[first:last]) for x in made)
        assert a.loss_sum == pytest.approx(b.loss_sum, rel=1e-4)
        assert a[1:4] == b[1:4] and a[6:] == b[6:]
        np.testing.assert_allclose(a.rates, b.rates, rtol=1e-3, atol=1e-9)
        apart = distance(*(x.params() for x in made), NAMES)
        assert apart <= (1e-5 if last == 1 else 1e-3)
        rates += [*a.rates]
    if arm == "overshoot":
        # the arm decides at some steps; where A is below 0, as on half of the batches, LN's stay
        assert np.mean([0 < r < 1 or 1 < r < definition.MOST for r in rates]) >= 0.1
    without = after(fused.FusedLearner, replace(spec, arm="none", lr_control="none"), steps)
    if arm != "bounded":  # which leaves vectors of this size alone
        assert distance(made[0].params(), without, NAMES) > 1e-4


@pytest.mark.parametrize("bias", [True, False])
def test_a_rate_that_the_twin_s_ratio_caps_agrees_with_torch(bias: bool) -> None:
    """None's eta B / A is .5: so is that of every step of the arm, whose own would be far less."""
    spec = replace(SPEC, arm="overshoot", norm="layer", bias=bias, lr=1e-3)
    ones = np.ones(5)
    follows = {"gi2_minibatch": -1.5 * spec.lr * ones, "dgi": -ones, "td_loss": ones}
    made = [learner(make, spec, follows) for make in (FusedArmLearner, ArmLearner)]
    ours, theirs = (np.concatenate([part.rates for part in advance(x)]) for x in made)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)
    assert distance(*(x.params() for x in made), NAMES) <= 1e-3
    assert np.mean((ours > 1) & (ours < definition.MOST)) > 0.1
    A, B = slopes(made[1], batches(spec, STEPS)[0])
    assert spec.lr * theirs[0] == pytest.approx(0.5 * A / B, rel=1e-5)


def slopes(trained, rows: np.ndarray) -> tuple[float, float]:
    """A and B at the run's start, from one autograd gradient a sample."""
    spec = replace(trained.spec, arm="none")  # at the start of its run
    q = learner(training.TorchLearner, spec).q.double()
    obs, action, reward, next_obs, discount = (array[rows] for array in trained.data)

    def gradients(values: torch.Tensor) -> torch.Tensor:
        each = [torch.autograd.grad(v, list(q.parameters()), retain_graph=True) for v in values]
        return torch.stack([torch.cat([part.flatten() for part in row]) for row in each])

    values = q(obs.double()).gather(1, action[:, None].long())[:, 0]
    h = values - discount.double() * q(next_obs.double()).max(1).values
    td = (h - reward).detach()
    u = gradients(h) @ (td[:, None] * gradients(values)).mean(0)
    return (td * u).mean().item(), u.square().mean().item()


@pytest.mark.parametrize(("arm", "norm"), INTERVENTIONS)
def test_what_an_arm_makes_of_gi2_agrees_with_autograd(arm: str, norm: str) -> None:
    """Also the function's own metrics: F's are LN's, C's those of shortened vectors."""
    spec = replace(SPEC, arm=arm, norm=norm, lr=1e-3)
    dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
    params = initial_params_of(spec)
    makes, follows = (FusedArmLearner, ArmLearner), marked(arm, norm)
    made = [make(spec, dataset, params, follows) for make in makes]
    for x in made:
        x.taken = 25  # the second checkpoint
    batch = type(dataset)(*(a[:32] for a in dataset))
    lengths = np.linalg.norm(batch.obs @ params["W"].T + params["b"], axis=1)
    assert lengths.min() ** 2 < spec.width < lengths.max() ** 2  # C shortens some of these
    ours, theirs = (x.measure(batch, {"iso_p": 6}, 3) for x in made)
    assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9, nan_ok=True)
    assert ("gi2_used" in ours) == (arm != "overshoot")
    if arm not in ("overshoot", "bounded"):
        assert ours["gi2_used"] != pytest.approx(ours["gi2"], rel=1e-5)


@pytest.mark.parametrize("arm", ["forward", "bounded"])
def test_episodes_are_played_by_the_function_of_the_arm(arm: str) -> None:
    spec = replace(SPEC, arm=arm)
    params = initial_params_of(spec)
    params["W"] *= 2  # C shortens some vectors, so that the output's bias counts for more
    params["c"] *= 10
    dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
    starts = start_states(TASKS[spec.env], 3, np.random.default_rng(0), True)
    ours, theirs = (make(spec, dataset, params, {}) for make in (FusedArmLearner, ArmLearner))
    none = training.TorchLearner(replace(spec, arm="none"), dataset, params).greedy_return(starts)
    assert ours.greedy_return(starts) == pytest.approx(theirs.greedy_return(starts), rel=1e-3)
    rms = greedy_return(ours.task, params, "rms", starts)
    for other in (none, rms):
        assert ours.greedy_return(starts) != pytest.approx(other, rel=1e-3)


# --- an arm is what it says -----------------------------------------------------------------


def test_forward_with_the_gradient_through_its_statistics_is_ln() -> None:
    spec, layer = replace(SPEC, arm="forward"), replace(SPEC, norm="layer")
    ours = learner(FusedArmLearner, spec)
    ours.gradient = OWN
    advance(ours)
    assert same_bits(ours.params(), after(fused.FusedLearner, layer))
    theirs = learner(ArmLearner, spec)
    theirs.q.norm = Forward(through=True)
    advance(theirs)
    assert same_bits(theirs.params(), after(training.TorchLearner, layer))


@pytest.mark.parametrize(
    ("make", "plain"),
    [(FusedArmLearner, fused.FusedLearner), (ArmLearner, training.TorchLearner)],
)
def test_projection_with_the_schedule_of_ln_s_own_decay_is_ln(make, plain) -> None:
    """Lemma 5: of LN's (W, b) only the direction counts, and its rate is eta / |(W, b)|^2."""
    spec = replace(SPEC, norm="layer", lr=3e-2, steps=50, checkpoints=50)
    stops = tuple(range(51))
    layer = learner(plain, spec)
    norms = np.concatenate([part.norms for part in advance(layer, stops)])
    projected = replace(spec, arm="other_decay", lr_control="project")

    def apart(norms: np.ndarray) -> float:
        """How far LN's run is from a projected one with the schedule of these norms."""
        follows = learner(make, projected, {"weight_norm": norms})
        advance(follows, stops)
        scaled = [
            p | {n: p[n] / np.hypot(*(np.linalg.norm(p[m]) for m in "Wb")) for n in "Wb"}
            for p in (follows.params(), layer.params())
        ]
        return distance(*scaled, NAMES)

    assert norms[-1] > 1.2 * norms[0]
    assert apart(norms) < 1e-3 and apart(np.ones(50)) > 0.1


@pytest.mark.parametrize("make", [FusedArmLearner, ArmLearner])
def test_p_of_one_changes_no_bit(make) -> None:
    spec = replace(SPEC, arm="isometry")
    weighted, plain = (learner(make, spec, {}) for _ in range(2))
    weighted.arm._held = (0, Setting(P=np.eye(spec.width)))
    plain.arm._held = (0, Setting())
    advance(weighted), advance(plain)
    assert same_bits(weighted.params(), plain.params())


@pytest.mark.parametrize("make", [FusedArmLearner, ArmLearner])
@pytest.mark.parametrize("orthogonal", [True, False])
def test_p_is_a_linear_map_after_the_relu_that_leaves_the_function_unchanged(
    make, orthogonal
) -> None:
    """Q = V' A relu(W s + b) with V' = V A^-1, trained by autograd: V moves along V's gradient P.

    P = A^T A; of an orthogonal A it is 1, so that training changes by rounding only.
    """
    spec = replace(SPEC, arm="isometry", lr=1e-3)
    rng = np.random.default_rng(0)
    A = np.linalg.qr(rng.normal(size=(spec.width, spec.width)))[0]
    A = A if orthogonal else A * np.linspace(0.3, 1.5, spec.width)
    ours = learner(make, spec, {})
    ours.arm._held = (0, Setting(P=None if orthogonal else A.T @ A))
    mapped = learner(training.TorchLearner, replace(spec, arm="none"))
    q = mapped.q.double()
    mapped.data = [a.double() if a.is_floating_point() else a for a in mapped.data]
    A = torch.as_tensor(A)

    with torch.no_grad():
        q.output.weight.copy_(q.output.weight @ torch.linalg.inv(A))
    q.features = lambda obs: torch.relu(q.hidden(obs)) @ A.T
    advance(ours), advance(mapped)
    with torch.no_grad():
        q.output.weight.copy_(q.output.weight @ A)  # V = V' A
    assert distance(ours.params(), mapped.params(), NAMES) < 1e-5
    plain = distance(ours.params(), after(training.TorchLearner, mapped.spec), NAMES)
    assert plain < 1e-5 if orthogonal else plain > 1e-3


def test_a_bound_at_infinity_is_none() -> None:
    """In torch and in the engine; so is a share to fall by of minus infinity, for None."""
    none = replace(SPEC, lr=0.1)
    torch_none, none_bits = (after(m, none) for m in (training.TorchLearner, fused.FusedLearner))
    bounded = replace(none, arm="bounded")
    ours, theirs = learner(FusedArmLearner, bounded), learner(ArmLearner, bounded)
    ours.bound, theirs.q.norm = np.inf, Bounded(np.inf)
    advance(ours), advance(theirs)
    assert same_bits(theirs.params(), torch_none) and same_bits(ours.params(), none_bits)
    ones = np.ones(5)
    for norm, share in (("none", -np.inf), ("layer", np.inf)):
        spec = replace(none, arm="overshoot", norm=norm, lr=1e-2)
        follows = {"gi2_minibatch": share * ones, "td_loss": ones, "dgi": ones}
        for make, plain in (
            (FusedArmLearner, fused.FusedLearner),
            (ArmLearner, training.TorchLearner),
        ):
            trained = learner(make, spec, follows)
            assert {part.fallbacks + part.bounds for part in advance(trained)} == {0}
            expected = after(plain, replace(spec, arm="none"))
            assert same_bits(trained.params(), expected)


def test_bounded_shortens_long_vectors_alone() -> None:
    z = torch.tensor([[3.0, 4.0], [0.3, -0.4]], dtype=torch.float64)
    expected = z * torch.tensor([[2**0.5 / 5], [1.0]])
    torch.testing.assert_close(Bounded()(z), expected, rtol=1e-5, atol=0)


def test_backward_has_none_s_values_and_ln_s_jacobian() -> None:
    """J = (1 - 1 1^T / d - z^ z^^T / d) / sigma, by hand."""
    z = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(5, 7, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((Backward()(z) * weights).sum(), z)
    assert torch.equal(Backward()(z), z)
    for row, weight, found in zip(z.detach(), weights, gradient, strict=True):
        sigma = torch.sqrt(row.var(correction=0) + 1e-5)
        normalized = (row - row.mean()) / sigma
        J = torch.eye(7) - torch.ones(7, 7) / 7 - torch.outer(normalized, normalized) / 7
        torch.testing.assert_close(found, J @ weight / sigma)


# --- what the arms set ----------------------------------------------------------------------


@pytest.mark.parametrize("raises", [False, True])
def test_overshoot_rate_by_trying_every_rate(raises: bool) -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(150):
        A, B, lr = rng.normal(), 10 ** rng.normal(), 10 ** rng.normal()
        fall = rng.normal() * 10 ** rng.uniform(-2, 1)
        rates = np.linspace(lr, 100 * lr, 400_001) if raises else np.linspace(0, lr, 100_001)
        decrement = 2 * rates * A - rates**2 * B
        good = rates[decrement <= fall] if raises else rates[decrement >= fall]
        ratio = 10 ** rng.uniform(-1, 1)
        rate, outcome = overshoot_rate(raises, lr, A, B, fall, ratio)
        seen.add(outcome)
        if raises and decrement[0] > fall and A <= 0:
            assert (rate, outcome) == (lr, FALLBACK)
            continue
        if raises:
            good = rates[(decrement <= fall) | (rates * B >= ratio * A)]
            assert rate == pytest.approx(good[0] if len(good) else 100 * lr, abs=3e-4 * lr)
        elif len(good):
            assert rate == pytest.approx(good[-1], abs=2e-5 * lr)
        else:
            assert rate == (pytest.approx(min(lr, A / B)) if A > 0 else 0.0)
        assert (outcome == MET) == (len(good) > 0)
    assert len(seen) == 2 + raises
    assert overshoot_rate(raises, 0.1, 1.0, 1.0, np.nan, 1.0) == (0.1, FALLBACK)
    assert overshoot_rate(raises, 0.1, 0.0, 0.0, 1.0, 1.0)[0] == (0.1 if raises else 0.0)


@pytest.mark.parametrize(
    ("fall", "ratio", "expected"),
    [
        (0.0975, 9.0, (1.95, MET)),  # 2 rate - rate^2 = .0975 at .05 and at 1.95
        (0.0975, 0.7, (0.7, MET)),  # the twin steps .7 of A / B
        (0.0975, 0.05, (0.1, MET)),  # LN steps .1 of it, which is more
        (0.0975, 0.0, (0.1, MET)),
        (0.2, 0.7, (0.1, MET)),  # LN's own step takes .19 off, no more than .2
        (-1e6, 200.0, (10.0, definition.BOUND)),
        (0.0975, np.inf, (0.1, FALLBACK)),
        (0.0975, np.nan, (0.1, FALLBACK)),
        (0.0975, -1.0, (0.1, FALLBACK)),
    ],
)
def test_raised_rates_by_hand(fall: float, ratio: float, expected: tuple) -> None:
    """A = B = 1 and a rate of .1."""
    rate, outcome = overshoot_rate(True, 0.1, 1.0, 1.0, fall, ratio)
    assert (rate, outcome) == (pytest.approx(expected[0]), expected[1])


def test_the_twin_s_ratio_is_that_of_its_recorded_step() -> None:
    """gi2_minibatch and dgi of a None run against A and B of the same batch by autograd."""
    none = replace(SPEC, lr=0.1)
    dataset = dataset_of(none.env, none.seed, none.data, none.dataset_size)
    rows = np.arange(128)
    trained = learner(fused.FusedLearner, none)
    measured = trained.measure(type(dataset)(*(a[rows] for a in dataset)), {}, 0)
    A, B = slopes(learner(training.TorchLearner, none), rows)
    spec = replace(none, arm="overshoot", norm="layer")
    follows = {name: np.full(5, measured[name]) for name in ("gi2_minibatch", "dgi", "td_loss")}
    setting = definition.Arm(spec, dataset, follows).setting(0, lambda obs: obs)
    assert setting.ratio == pytest.approx(none.lr * B / A, rel=1e-6)
    assert setting.share == pytest.approx(
        (2 * none.lr * A - none.lr**2 * B) / measured["td_loss"], rel=1e-6
    )


def test_weighting_reaches_the_isometry_that_is_asked_for_and_keeps_the_trace() -> None:
    rng = np.random.default_rng(1)
    features = np.maximum(rng.normal(size=(240, 12)) @ rng.normal(size=(12, 12)) + 1, 0)
    C = features.T @ features / len(features)
    order = np.arange(len(features))
    plain = structured_isometry(features, 6, order)
    for target in (0.8 * plain, plain, 1.1 * plain):
        found = weighting(features, target, 6)
        assert found.outcome == MET
        reached = structured_isometry(features @ found.root, 6, order)
        assert reached == pytest.approx(target, rel=2e-3)
        np.testing.assert_allclose(found.root @ found.root, found.P, atol=1e-9)
        assert np.trace(found.P @ C) == pytest.approx(np.trace(C))
        assert np.sign(round(found.alpha, 2)) == np.sign(target - plain)
        # P commutes with C, and its eigenvalues are a power of C's
        np.testing.assert_allclose(found.P @ C, C @ found.P, atol=1e-8)
        basis = np.linalg.qr(rng.normal(size=C.shape))[0]
        turned = weighting(features, target, 6, basis)
        spectra = [np.linalg.eigvalsh(x.P) for x in (found, turned)]
        np.testing.assert_allclose(spectra[0] / spectra[0][0], spectra[1] / spectra[1][0])
        assert np.trace(turned.P @ C) == pytest.approx(np.trace(C))
    assert weighting(features, 0.999, 6).outcome == definition.BOUND
    dependent = weighting(features * (np.arange(len(features)) % 2)[:, None], 0.3, 6)
    assert dependent.outcome == definition.BOUND and dependent.alpha == 0
    np.testing.assert_allclose(dependent.P, np.eye(12), atol=1e-9)
    assert weighting(features, np.nan, 6) == weighting(0 * features, 0.5, 6)
    assert weighting(features, np.nan, 6).outcome == FALLBACK


def test_a_record_that_is_not_finite_leaves_the_step_as_it_is_and_is_counted() -> None:
    nothing = {name: np.full(5, np.nan) for name in RECORDED}
    none = engine.train(SPEC)
    for arm in ("decay", "overshoot", "isometry"):
        found = engine.train(replace(SPEC, arm=arm), nothing)
        assert found.row["arm_fallbacks"] == STEPS and found.row["arm_bounds"] == 0
        np.testing.assert_array_equal(found.curves["loss"], none.curves["loss"])
        assert set(found.curves["arm_setting"]) == {0.0 if arm == "isometry" else 1.0}


def test_no_two_kernels_share_files_in_numbas_cache() -> None:
    sizes = list(itertools.product((3, 4), (2, 3), (64, 128), (64, 128), (True, False)))
    files = {kernel(*size)._cache._impl.filename_base for size in sizes}
    assert len(files) == len(sizes)


def test_decay_follows_the_twin_from_checkpoint_to_checkpoint() -> None:
    spec = replace(SPEC, arm="decay", lr=1e-3)
    norms = np.array([1.0, 2.0, np.inf, np.nan, 4.0])
    parts = advance(
        learner(FusedArmLearner, spec, {"weight_norm": norms}), tuple(range(0, 101, 20))
    )
    assert [part.rates[0] for part in parts] == pytest.approx([1, 1 / 4, 0, 1, 1 / 16])
    assert [part.fallbacks for part in parts] == [0, 0, 0, 20, 0]


def test_p_is_renewed_every_2000_steps_from_the_same_1024_rows() -> None:
    spec = replace(SPEC, arm="isometry", steps=8_000, checkpoints=8)
    dataset = dataset_of(spec.env, spec.seed, spec.data, spec.dataset_size)
    asked, rng = [], np.random.default_rng(0)

    def features(obs: np.ndarray) -> np.ndarray:
        asked.append(obs)
        return np.maximum(obs @ rng.normal(size=(3, 20)), 0)

    arm = definition.Arm(spec, dataset, {"iso_p": np.linspace(0.1, 0.17, 8)})
    found = [arm.setting(step, features) for step in (0, 1_000, 1_999, 2_000, 3_000, 6_000)]
    assert [a is b for a, b in pairwise(found)] == [True, True, False, True, False]
    rows = np.concatenate([asked[0], dataset.obs])
    assert len(asked) == 3 and all(np.array_equal(obs, asked[0]) for obs in asked)
    assert len(asked[0]) == 1_024 and len(np.unique(rows, axis=0)) == len(
        np.unique(dataset.obs, axis=0)
    )
    other = definition.Arm(replace(spec, norm="layer", lr=1.0), dataset, {})
    np.testing.assert_array_equal(other.obs, arm.obs)


def test_steps_are_taken_in_stretches_that_end_where_p_is_renewed() -> None:
    spec, starts = replace(SPEC, steps=8_000), []

    class Walker:
        def advance(self, first_step: int, rows: np.ndarray, lrs: np.ndarray) -> None:
            starts.append((first_step, first_step + len(rows)))

    run._advance(spec, Walker(), 500, 4_500, spec.rng("batches"), None)
    assert starts == [(500, 2_000), (2_000, 4_000), (4_000, 4_500)]


def test_what_holds_a_rate_is_recorded_at_the_rate_in_use() -> None:
    """GI2 of a minibatch at another rate, measured there; an overshoot arm at its mean rate."""
    doubled = engine.train(replace(SPEC, gradient_scale=2.0))
    at_two = engine.train(replace(SPEC, lr=2 * SPEC.lr))
    for name in ("gi2", "gi2_minibatch"):
        assert doubled.curves[f"{name}_used"][0] == pytest.approx(at_two.curves[name][0])
    spec = replace(SPEC, arm="overshoot", lr=0.1)
    curves = engine.train(spec, marked("overshoot", "none")).curves
    assert 0 < curves["arm_setting"].mean() < 0.9
    rate = spec.lr * curves["arm_setting"]
    np.testing.assert_allclose(curves["effective_lr"], rate)
    for name in ("gi2", "gi2_minibatch"):
        square = (2 * spec.lr * curves["dgi"] - curves[name]) / spec.lr**2
        used = 2 * rate * curves["dgi"] - rate**2 * square
        np.testing.assert_allclose(curves[f"{name}_used"], used, rtol=1e-9)


# --- twins ----------------------------------------------------------------------------------


def test_a_twin_differs_in_the_norm_alone() -> None:
    spec = RunSpec("Acrobot", lr=1e-2, seed=7, bias=False, steps=500, arm="overshoot")
    assert spec.twin == replace(spec, arm="none", norm="layer")
    assert replace(spec, norm="layer").twin == replace(spec, arm="none", norm="none")
    assert replace(spec, arm="other_decay").twin == replace(
        spec, arm="none", env="Pendulum", norm="layer"
    )
    assert spec.twin.twin is None and replace(spec, arm="forward").twin is None


def test_a_run_is_the_same_whether_its_twin_is_read_or_trained(tmp_path, monkeypatch) -> None:
    specs = [replace(SPEC, arm=arm, steps=60, checkpoints=3) for arm in ("overshoot", "isometry")]
    with monkeypatch.context() as patched:
        patched.delattr(fused, "record_of")  # which would train the twins once more
        rows = sweep(specs, store=tmp_path, progress=False)
    assert Store(tmp_path).keys() == {specs[0].key, specs[1].key, specs[0].twin.key}
    for spec, (_, row) in zip(specs, rows.iterrows(), strict=True):
        alone = engine.train(spec)
        told = engine.train(spec, {name: record(spec.twin)[name] for name in RECORDED})
        for result in (alone, told):
            found = {name: row[name] for name in result.row}
            assert found | {"seconds": 0} == pytest.approx(
                result.row | {"seconds": 0}, rel=0, abs=0, nan_ok=True
            )


@pytest.mark.parametrize(
    "wrong",
    [
        {"arm": "forward", "norm": "layer"},
        {"arm": "decay", "norm": "rms"},
        {"arm": "isometry", "optimizer": "Adam"},
        {"arm": "backward", "lr_control": "own_decay"},
        {"arm": "bounded", "lr_control": "project"},
    ],
)
def test_a_combination_that_is_not_defined_is_refused_in_a_sentence(wrong) -> None:
    with pytest.raises(SpecError) as error:
        RunSpec("Pendulum", **wrong)
    assert all(name in str(error.value) for name in wrong if wrong[name] != "bounded")

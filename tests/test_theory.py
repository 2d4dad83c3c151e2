"""Theorems 2 to 4 and Lemma 5 against Monte Carlo SGD, fractions, autograd and LayerNorm."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lnqbook import lemma5, theorem4, theory
from lnqbook.theory import EXAMPLES

FINITE = st.floats(-10, 10, allow_subnormal=False).filter(lambda v: v == 0 or abs(v) > 1e-3)
LAWS = st.tuples(arrays(float, (5, 3), elements=FINITE), arrays(float, 3, elements=FINITE))


def dot(u, v):
    return sum(Fraction(p) * q for p, q in zip(u, v, strict=True))


def mean(values):
    values = list(values)
    return sum(values, Fraction(0)) / len(values)


def definitions(atoms, error):
    """App. B's A, B, C, D by its own double expectations, in fractions."""
    a = mean(dot(x, error) ** 2 for x in atoms)
    b = mean(dot(x, x) * dot(x, error) ** 2 for x in atoms)
    c = mean(dot(x, error) * dot(y, error) * dot(x, y) for x in atoms for y in atoms)
    d = mean(dot(y, error) ** 2 * dot(x, y) ** 2 for x in atoms for y in atoms)
    return a, b, c, d


def random_law(seed, atoms=6, dimension=3):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((atoms, dimension)) * rng.lognormal(0, 0.7, (atoms, 1))
    return x, rng.standard_normal(dimension), rng.dirichlet(np.ones(atoms))


def within_four_errors(samples, expected):
    return abs(samples.mean() - expected) < 4 * samples.std() / len(samples) ** 0.5


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("side", ["spread", "constant"])
def test_terms_are_the_definitions_in_exact_arithmetic(name, side):
    error, atoms = EXAMPLES[name].error, getattr(EXAMPLES[name], side)
    x, e = theory.exact(atoms), theory.exact(error)
    terms = theory.distance_terms(x, e) + theory.loss_terms(x, e)
    assert all(isinstance(term, Fraction) for term in terms)
    assert terms == definitions(atoms, error)
    assert theory.expected_loss(x, e) == terms[0]


def test_weights_are_probabilities_of_atoms():
    atoms, error = ((1, 2), (3, -1), (3, -1), (3, -1)), (2, 5)
    x, weights = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([0.25, 0.75])
    got = theory.distance_terms(x, error, weights) + theory.loss_terms(x, error, weights)
    assert got == pytest.approx([float(v) for v in definitions(atoms, error)])


def test_one_step_identities_against_sgd_steps():
    x, error, weights = random_law(0)
    target = np.array([0.3, -1.0, 2.0])
    theta, lr = target + error, 0.05
    sample = x[np.random.default_rng(1).choice(len(x), 400_000, p=weights)]
    step = theta - lr * sample * (sample @ theta - sample @ target)[:, None]  # Definition 1
    distance = ((step - target) ** 2).sum(1)
    loss = (((step - target) @ x.T) ** 2) @ weights
    a, b = theory.distance_terms(x, error, weights)
    c, d = theory.loss_terms(x, error, weights)
    assert within_four_errors(distance, error @ error - 2 * lr * a + lr**2 * b)
    assert within_four_errors(loss, a - 2 * lr * c + lr**2 * d)
    assert theory.distance_after(x, error, lr, weights) == pytest.approx(
        error @ error - 2 * lr * a + lr**2 * b
    )
    assert theory.loss_after(x, error, lr, weights) == pytest.approx(a - 2 * lr * c + lr**2 * d)


def test_best_decrement_is_the_top_of_the_parabola():
    a, b = Fraction(3), Fraction(7)
    top = max(2 * lr * a - lr**2 * b for lr in (Fraction(i, 700) for i in range(700)))
    assert theory.best_decrement(a, b) == top == Fraction(9, 7)
    assert top != a**2 / b**2  # as printed
    assert theory.best_decrement(0.0, 0.0) == 0.0


@settings(max_examples=200, deadline=None)
@given(LAWS)
def test_theorem_2_bound_holds_for_any_law(law):
    x, error = law
    a, b = theory.distance_terms(x, error)
    assert theory.best_decrement(a, b) <= theory.distance_bound(x, error) * (1 + 1e-9)


def test_theorem_2_bound_is_a_constant_norm_and_equality_needs_one():
    x, error, weights = random_law(2)
    z = x / np.linalg.norm(x, axis=1, keepdims=True)
    bound = theory.distance_bound(x, error, weights)
    for norm in (0.1, 1.0, 7.0):
        a, b = theory.distance_terms(norm * z, error, weights)
        assert theory.best_decrement(a, b) == pytest.approx(bound, rel=1e-12)
    a, b = theory.distance_terms(x, error, weights)
    assert theory.best_decrement(a, b) < 0.99 * bound
    # a norm that varies only where <z, e> = 0, or an atom x = 0, changes nothing
    free = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 5.0], [0.0, 0.1], [0.0, 0.0]])
    along = np.array([1.0, 0.0])
    a, b = theory.distance_terms(free, along)
    assert theory.best_decrement(a, b) == pytest.approx(theory.distance_bound(free, along))


def test_fixed_r_is_not_enough_for_theorem_2():
    error, spread, constant = EXAMPLES["fixed_r"]
    (a, b, *_), (a_const, b_const, *_) = definitions(spread, error), definitions(constant, error)
    assert len({dot(x, x) for x in constant}) == 1
    assert len({dot(x, x) for x in spread}) == 2
    assert a**2 / b == Fraction(8, 17) > a_const**2 / b_const == Fraction(9, 25)
    # the same directions, and R the same, but the error turned by a right angle
    turned, _ = definitions(((3, 4), (6, -8)), (0, 1)), definitions(constant, error)
    assert turned[0] ** 2 / turned[1] == Fraction(8, 17)


def test_dependent_norm_beats_constant_norm_in_theorem_3():
    error, spread, constant = EXAMPLES["dependent"]
    a, _, c, d = definitions(spread, error)
    a_const, _, c_const, d_const = definitions(constant, error)
    assert a == a_const == 49  # L is fixed
    for x, y in zip(spread, constant, strict=True):  # so is the law of directions
        assert x[0] * y[1] == x[1] * y[0]
        assert dot(x, y) > 0
    assert len({dot(x, x) for x in constant}) == 1
    assert c**2 / d > Fraction(36) > Fraction(31) > c_const**2 / d_const


def test_fixed_loss_is_not_enough_for_theorem_3_even_with_independence():
    error, spread, constant = EXAMPLES[
        "fixed_l"
    ]  # one direction, so norm and direction independent
    a, _, c, d = definitions(spread, error)
    a_const, _, c_const, d_const = definitions(constant, error)
    assert a == a_const == 225
    assert len({dot(x, x) for x in constant}) == 1
    assert c**2 / d > 2 * c_const**2 / d_const


def test_theorem_3_factors_into_norm_and_direction():
    z, error, weights = random_law(3)
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    norms, norm_weights = np.array([0.5, 1.0, 4.0]), np.array([0.2, 0.5, 0.3])
    x, w = theory.magnitude_direction_law(norms, norm_weights, z, weights)
    assert w.sum() == pytest.approx(1)
    assert x.shape == (18, 3)
    m2, m4 = norm_weights @ norms**2, norm_weights @ norms**4
    u, v = theory.loss_terms(z, error, weights)
    assert theory.loss_terms(x, error, w) == pytest.approx((m2**2 * u, m2 * m4 * v))
    assert theory.norm_spread(x, w) == pytest.approx((m4 / m2**2 - 1) ** 0.5)


def test_constant_norm_keeps_directions_and_loss():
    x, error, weights = random_law(4)
    flat = theory.constant_norm(x, error, weights)
    assert np.ptp(np.linalg.norm(flat, axis=1)) < 1e-12
    cosine = (x * flat).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(flat, axis=1)
    assert cosine == pytest.approx(np.ones(6))
    assert weights @ (flat @ error) ** 2 == pytest.approx(weights @ (x @ error) ** 2)


@pytest.mark.parametrize("dimension", [2, 5])
def test_corrected_theorems_over_random_laws(dimension):
    laws = theory.random_laws(2_000, dimension, seed=dimension)
    free, bound = laws[laws.independent], laws[~laws.independent]
    assert len(free) == len(bound) == 2_000
    assert laws[["distance_residual", "loss_residual"]].abs().max().max() < 1e-12
    assert laws.distance_ratio.max() <= 1 + 1e-12  # Theorem 2, dependent or not
    assert free.loss_ratio.max() <= 1 + 1e-12  # Theorem 3
    for ratio in (free.distance_ratio, free.loss_ratio):
        assert np.allclose(ratio, 1 / (1 + free.spread**2), rtol=1e-9)
    assert (bound.loss_ratio > 1).mean() > 0.05  # dependence breaks Theorem 3
    assert (laws.rival_ratio > 1).mean() > 0.05  # fixed R alone breaks Theorem 2


def noisy_ratio(atoms, error, variance):
    """A^2 over the noisy step's second-order coefficient, in fractions."""
    a, b, *_ = definitions(atoms, error)
    noise = mean(dot(x, x) * variance(dot(x, x)) for x in atoms)
    return a**2 / (b + noise)


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("noise", lambda squared: 4 * squared),
        ("noise", lambda squared: Fraction(100)),
        ("saturating_noise", lambda squared: 50 * min(squared, 169)),
    ],
)
def test_with_noise_a_spread_norm_can_win(name, variance):
    error, spread, constant = EXAMPLES[name]
    assert mean(dot(x, x) for x in spread) == mean(dot(x, x) for x in constant)
    ratio = noisy_ratio(spread, error, variance)
    assert ratio > noisy_ratio(constant, error, variance)
    terms = theory.noisy_terms(
        theory.exact(spread),
        theory.exact(error),
        lambda squared: np.array([Fraction(variance(s)) for s in squared], dtype=object),
    )
    assert theory.best_decrement(*terms) == ratio


@pytest.mark.parametrize("variance", [lambda s: 4 * s, lambda s: 100 + 0 * s])
def test_noisy_terms_against_noisy_sgd_steps(variance):
    error, spread, _ = EXAMPLES["noise"]
    x, error, lr = np.array(spread, float), np.array(error, float), 0.01
    distances = theory.noisy_distances(x, error, lr, variance, 400_000, np.random.default_rng(5))
    (a, b), (same, total) = theory.distance_terms(x, error), theory.noisy_terms(x, error, variance)
    assert same == a
    expected = error @ error - 2 * lr * a + lr**2 * total
    assert within_four_errors(distances, expected)
    assert not within_four_errors(distances, expected - lr**2 * (total - b))


def test_noisy_distances_are_those_of_theta_after_a_step():
    """One atom, with theta itself: theta+ = theta - lr x (<x, theta> - y), y = <x, theta*> + xi."""
    x, target, theta, lr = np.array([3.0, -1.0]), np.array([1.0, 2.0]), np.array([0.5, 4.0]), 0.1
    noise = 6.0 * np.random.default_rng(6).standard_normal(20)
    rng = np.random.default_rng(6)  # choosing among one atom takes nothing from it
    found = theory.noisy_distances(x[None], theta - target, lr, lambda s: 3.6 * s, 20, rng)
    for xi, distance in zip(noise, found, strict=True):
        after = theta - lr * x * (x @ theta - (x @ target + xi))
        assert distance == pytest.approx(((after - target) ** 2).sum())


def test_normalizing_inputs_alone_breaks_realizability():
    # z = +-1 with y = a z: the best theta is E[a], and what is left is var(a) / E[a^2]
    x = np.array([[1.0], [-3.0]])
    assert theory.realizability_gap(x, np.array([2.0])) == pytest.approx(1 / 5)
    assert theory.realizability_gap(np.array([[2.0], [-2.0]]), np.array([2.0])) < 1e-20
    x, target, weights = random_law(6)
    assert theory.realizability_gap(x, target, weights) > 0.01
    assert theory.realizability_gap(theory.constant_norm(x, target), target, weights) < 1e-20


def iso(x):
    """App. C by the eigenvalues of the Gram matrix."""
    values = np.linalg.eigvalsh(x @ x.T)
    return np.prod(values.clip(0)) ** (1 / len(x)) / values.mean()


def test_theorem_4_row_normalizing_never_lowers_isometry():
    rng = np.random.default_rng(7)
    for _ in range(500):
        x = rng.standard_normal((4, 6)) * rng.lognormal(0, 1, (4, 1))
        squared = (x**2).sum(1)
        z = x / squared[:, None] ** 0.5
        assert theorem4.isometry_of_rows(x) == pytest.approx(iso(x))
        assert iso(x) <= iso(z) * (1 + 1e-9)
        gap = np.exp(np.log(squared).mean()) / squared.mean()
        assert theorem4.isometry_of_rows(x) == pytest.approx(gap * theorem4.isometry_of_rows(z))


def test_theorem_4_covers_neither_centring_nor_relu():
    x = np.eye(2, 3)
    centred = x - x.mean(1, keepdims=True)
    assert theorem4.isometry_of_rows(x) == pytest.approx(1)
    assert theorem4.isometry_of_rows(centred) == pytest.approx(0.75**0.5)
    assert theorem4.isometry_of_rows(np.eye(3) - 1 / 3) == 0.0  # rank 2
    crossed = np.array([[1.0, -1.0], [1.0, 1.0]])
    assert theorem4.isometry_of_rows(crossed) == pytest.approx(1)
    assert theorem4.isometry_of_rows(crossed.clip(0)) == pytest.approx(2 / 3)


def layer_norm_gradient(eps, bias_in_norm=True):
    """The first layer's gradient through torch's own Linear and LayerNorm, float64."""
    torch.manual_seed(0)
    norm = torch.nn.LayerNorm(16, eps=eps, elementwise_affine=False)
    head = torch.nn.Linear(16, 1).double()
    obs, targets = torch.randn(32, 4).double(), torch.randn(32, 1).double()
    shift = torch.randn(16).double()

    def loss(w):
        z = torch.nn.functional.linear(obs, w[:, :4], w[:, 4] if bias_in_norm else shift)
        return 0.5 * torch.nn.functional.mse_loss(head(torch.relu(norm(z))), targets)

    return lemma5.autograd(loss), torch.randn(16, 5 if bias_in_norm else 4).double().numpy()


def test_lemma_5_norm_is_exact_and_direction_second_order():
    gradient, w = layer_norm_gradient(eps=0)
    results = [lemma5.lemma5_residuals(gradient, w, lr) for lr in (40.0, 20.0, 10.0, 5.0)]
    assert max(abs(r["norm"]) for r in results) < 1e-10
    assert max(abs(r["radial"]) for r in results) < 1e-12
    errors = np.array([r["direction"] for r in results])
    assert errors[:-1] / errors[1:] == pytest.approx([4.0] * 3, rel=0.02)  # O(lr^2), no better
    assert errors == pytest.approx([r["expected"] for r in results], rel=1e-6)
    unit = gradient(w / np.linalg.norm(w))
    leading = 5.0**2 / (2 * np.linalg.norm(w) ** 4) * (unit**2).sum()
    assert errors[-1] == pytest.approx(leading, rel=0.02)


@pytest.mark.parametrize(("eps", "bias_in_norm"), [(1e-2, True), (0.0, False)])
def test_lemma_5_needs_no_eps_and_a_scaled_bias(eps, bias_in_norm):
    gradient, w = layer_norm_gradient(eps, bias_in_norm)
    assert abs(lemma5.lemma5_residuals(gradient, w, 0.1)["norm"]) > 1e-3


def test_lemma_5_holds_for_the_layer_and_not_for_its_rows():
    gradient, w = layer_norm_gradient(eps=0)
    step = gradient(w)
    rows = (w * step).sum(1)  # each row's radial gradient
    assert abs(rows.sum()) < 1e-12 < 1e-4 < abs(rows).max()
    one_row = w.copy()
    one_row[0] *= 3  # f changes, so it is not invariant to the scale of a row
    assert not np.allclose(gradient(one_row)[1:], step[1:], rtol=1e-3)


def test_layer_norm_loss_is_torch_layers():
    rng = np.random.default_rng(8)
    obs, targets, readout = rng.random((6, 3)), rng.random(6), rng.random(16)
    w = rng.standard_normal((16, 4))
    z = torch.nn.functional.linear(*map(torch.tensor, (obs, w[:, :3], w[:, 3])))
    norm = torch.nn.LayerNorm(16, eps=0.1, elementwise_affine=False)
    out = torch.relu(norm(z)) @ torch.tensor(readout)
    expected = 0.5 * torch.nn.functional.mse_loss(out, torch.tensor(targets))
    got = lemma5.layer_norm_loss(obs, targets, readout, eps=0.1)(torch.tensor(w))
    assert got.item() == pytest.approx(expected.item())
    factors = rng.random(6)  # each sample its own readout, here a multiple of the one
    out = torch.relu(norm(z)) @ torch.tensor(readout) * torch.tensor(factors)
    expected = 0.5 * torch.nn.functional.mse_loss(out, torch.tensor(targets))
    got = lemma5.layer_norm_loss(obs, targets, np.outer(factors, readout), eps=0.1)
    assert got(torch.tensor(w)).item() == pytest.approx(expected.item())


def test_errors_say_what_to_pass():
    with pytest.raises(ValueError, match=r"pass atoms \(n, d\) and an error \(d,\)"):
        theory.distance_terms(np.ones((4, 3)), np.ones(2))
    with pytest.raises(ValueError, match="pass 4 probabilities"):
        theory.loss_terms(np.ones((4, 3)), np.ones(3), np.ones(4))

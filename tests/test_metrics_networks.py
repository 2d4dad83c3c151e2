"""Networks as other people write them: measured as a plain loop measures them, or refused."""

import copy
import functools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from loop import loop
from test_metrics import random_batch
from torch import nn
from torch.nn import functional as F

from lnqlib.data import Transitions
from lnqlib.metrics import NAMES, MetricError, interference, second_order
from lnqlib.metrics.problem import Measured

LR = 0.05


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def mlp(obs_dim: int = 3, num_actions: int = 2, width: int = 8) -> nn.Sequential:
    hidden = [nn.Linear(obs_dim, width), nn.LayerNorm(width), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(width, num_actions))


def images(seed: int, size: int = 6, channels: int = 2, num_actions: int = 3) -> Transitions:
    rng = np.random.default_rng(seed)
    obs, next_obs = rng.integers(0, 256, size=(2, size, channels, 12, 12), dtype=np.uint8)
    action, reward = rng.integers(num_actions, size=size), rng.normal(size=size)
    return Transitions(obs, action, reward, next_obs, rng.random(size) < 0.3)


def cnn(num_actions: int = 3) -> nn.Sequential:
    convolutions = [nn.Conv2d(2, 4, 4, 2, padding=1), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3)]
    return nn.Sequential(*convolutions, nn.ReLU(), nn.Flatten(), nn.Linear(80, num_actions))


def assert_measured(q, batch, rel=1e-9, told=(), **options) -> Measured:
    """`interference` gives what the loop gives."""
    result = interference(q, batch, LR, **options)
    settings = {k: v for k, v in options.items() if k not in ("num_actions",)}
    expected = loop(q, batch, LR, **settings)
    assert result == pytest.approx({name: expected[name] for name in NAMES}, rel=rel, nan_ok=True)
    return result


def refused(q, batch, *words: str, metric=interference, **options) -> str:
    """The one sentence in which a metric refuses a network; it holds all the words."""
    with pytest.raises(MetricError) as error:
        metric(q, batch, LR, **options)
    said = str(error.value)
    assert "; " in said and "\n" not in said
    for word in words:
        assert word in said, said
    return said


# wrong without a word


class InPlace(nn.Module):
    """Scales its input in place, as in `x = x.to(dtype); x.div_(255)`."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x):
        x = x.to(next(self.parameters()).dtype)
        x.div_(255)
        return self.net(x)


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_a_forward_that_changes_its_input_in_place(kind):
    batch = images(1)
    batch = batch._replace(obs=batch.obs.astype(kind), next_obs=batch.next_obs.astype(kind))
    kept = copy.deepcopy(batch)
    assert_measured(InPlace(cnn()), batch)
    terms = second_order(InPlace(cnn()), batch, LR)
    assert terms["first_order"] == pytest.approx(
        2 * LR * interference(InPlace(cnn()), batch, LR)["dgi"], abs=1
    )
    for before, after in zip(kept, batch, strict=True):
        np.testing.assert_array_equal(before, after)


class Normalizing(nn.Module):
    """Running normalisation that moves whenever it is asked to, in eval mode, too."""

    def __init__(self):
        super().__init__()
        self.net = mlp()
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, x, update=True):
        if update:
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0).detach()
        return self.net(x - self.mean)


def test_statistics_that_move_in_eval_mode():
    said = refused(Normalizing(), random_batch(1), "its buffer mean moves in eval mode")
    assert "forward=" in said
    assert_measured(
        Normalizing(), random_batch(1), forward=lambda q, obs: q.forward(obs, update=False)
    )


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp()
        self.p = 0.5

    def forward(self, x):
        return self.net(F.dropout(x, self.p))


def test_noise_in_eval_mode():
    refused(Noisy(), random_batch(2), "random in eval mode", metric=second_order)
    refused(Noisy(), random_batch(2), "random in eval mode")


class Seldom(Noisy):
    """Dropout of so small a share that two passes nearly always agree."""

    def __init__(self):
        super().__init__()
        self.p = 0.01


def test_noise_that_two_passes_seldom_show():
    refused(Seldom(), random_batch(2), "random in eval mode")


def test_flat_quantiles_are_known_by_the_number_of_actions():
    flat = mlp(num_actions=2 * 5)
    batch = random_batch(3)
    refused(flat, batch, "10 values a row, num_actions is 2", ".mean(-1)", num_actions=2)
    mean = lambda q, obs: q(obs).view(len(obs), 2, 5).mean(-1)  # noqa: E731
    assert_measured(flat, batch, forward=mean, num_actions=2)


class InAList(nn.Module):
    """Keeps its layers in a plain list, which `parameters()` does not see."""

    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(3, 8)]
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        return self.out(torch.relu(self.layers[0](x)))


class Closure(nn.Module):
    def __init__(self, hidden: nn.Module):
        super().__init__()
        self.first = lambda x: hidden(x.to(hidden.weight.dtype)).to(x.dtype)
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        return self.out(torch.relu(self.first(x)))


@pytest.mark.parametrize("q", [InAList, lambda: Closure(nn.Linear(3, 8))])
def test_weights_that_are_no_parameters(q):
    refused(q(), random_batch(4), "none of its parameters()")


def test_a_compiled_bound_method_keeps_the_originals_weights():
    class Compiled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp()
            self.call = torch.compile(self.net.forward, backend="eager")

        def forward(self, x):
            return self.call(x)

    with pytest.raises(MetricError):
        interference(Compiled(), random_batch(4), LR)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("terminated", 255, "terminated holds 255"),
        ("terminated", -1, "terminated holds -1"),
        ("terminated", 0.5, "terminated holds 0.5"),
        ("terminated", math.nan, "terminated holds nan"),
        ("action", 0.9, "action holds 0.9"),
        ("action", -1, "action runs from -1"),
        ("action", 2, "the network has actions 0 to 1"),
    ],
)
def test_fields_that_mean_nothing(field, value, words):
    batch = random_batch(5)
    column = np.zeros(12)
    column[3] = value
    refused(mlp(), batch._replace(**{field: column}), words)


def test_continuous_actions():
    batch = random_batch(5)._replace(action=np.zeros((12, 2)))
    refused(mlp(), batch, "action has shape (12, 2)", "continuous")


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp()
        self.register_buffer("limits", torch.tensor([-math.inf, math.inf]))

    def forward(self, x):
        return self.net(x)


def test_an_infinite_buffer_that_nothing_reads():
    assert_measured(Unused(), random_batch(6))


def test_next_observations_of_terminated_transitions_are_never_read():
    batch = random_batch(7)
    assert 0 < batch.terminated.sum() < 12
    broken = batch.next_obs.copy()
    broken[batch.terminated] = math.nan
    q = mlp()
    assert interference(q, batch._replace(next_obs=broken), LR) == interference(q, batch, LR)
    terms = second_order(q, batch._replace(next_obs=broken), LR)
    assert terms["realised"] == second_order(q, batch, LR)["realised"]
    broken[~batch.terminated] = math.nan
    assert all(map(math.isnan, interference(q, batch._replace(next_obs=broken), LR).values()))


def test_a_network_that_overflows_in_its_own_precision_has_no_numbers():
    q = nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 2))
    with torch.no_grad():
        q[0].weight.mul_(1e25)
        q[1].weight.mul_(1e25)
    assert all(map(math.isnan, interference(q, random_batch(8), LR).values()))
    assert all(map(math.isnan, second_order(q, random_batch(8), LR).values()))
    assert math.isfinite(interference(q.double(), random_batch(8), LR)["sgi"])


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return 2 * ctx.saved_tensors[0] * grad


class Once(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(Square.apply(self.hidden(x)))


def test_functions_that_cannot_be_differentiated_twice():
    assert_measured(Once(), random_batch(9))
    refused(Once(), random_batch(9), "Square", "once_differentiable", metric=second_order)


class Cube(torch.autograd.Function):
    """x^3, whose backward pass autograd can follow."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        return 3 * ctx.saved_tensors[0] ** 2 * grad


class Hidden(Cube):
    """x^3, whose backward pass autograd does not see, so that its Hessian would be too small."""

    @staticmethod
    def backward(ctx, grad):
        with torch.no_grad():
            return 3 * ctx.saved_tensors[0] ** 2 * grad


class Cubic(Once):
    def __init__(self, cube):
        super().__init__()
        self.cube = cube

    def forward(self, x):
        return self.out(self.cube(self.hidden(x)))


def test_functions_whose_second_derivative_is_wrong():
    batch = random_batch(9)
    refused(Cubic(Hidden.apply), batch, "q applies Hidden", metric=second_order)
    q, plain = Cubic(Cube.apply), Cubic(lambda x: x**3)
    plain.load_state_dict(q.state_dict())
    assert second_order(q, batch, LR) == pytest.approx(second_order(plain, batch, LR), rel=1e-9)
    assert second_order(q, batch, LR)["hessian"] != 0


def test_hooks_of_the_caller_do_not_run():
    q, ran = mlp(), []
    q[0].register_forward_hook(lambda *_: ran.append(1))
    q[0].register_forward_pre_hook(lambda *_: ran.append(1))
    q[0].register_full_backward_hook(lambda *_: ran.append(1))
    q[0].register_full_backward_pre_hook(lambda *_: ran.append(1))
    q[0].weight.register_hook(lambda *_: ran.append(1))
    result = interference(q, random_batch(10), LR)
    second_order(q, random_batch(10), LR)
    assert not ran
    assert "measured without the network's hooks" in result.notes
    assert len(q[0]._forward_hooks) == len(q[0]._backward_hooks) == 1


def test_equal_rows_are_transitions_of_their_own():
    batch = Transitions(*(np.repeat(x[:1], 4, axis=0) for x in random_batch(11)))
    assert interference(mlp(), batch, LR)["qgi_plus"] == pytest.approx(1.0)


class Centred(nn.Module):
    """Centres its features over the batch."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 8), nn.Linear(8, 2)

    def forward(self, x):
        z = torch.relu(self.hidden(x))
        return self.out(z - z.mean(0))


class Dueling(nn.Module):
    """`a - a.mean()`: the mean of the whole batch; `a.mean(1, keepdim=True)` was meant."""

    def __init__(self, bug: bool):
        super().__init__()
        self.hidden, self.v, self.a = nn.Linear(3, 8), nn.Linear(8, 1), nn.Linear(8, 2)
        self.bug = bug

    def forward(self, x):
        z = torch.relu(self.hidden(x))
        a = self.a(z)
        return self.v(z) + a - (a.mean() if self.bug else a.mean(1, keepdim=True))


class Recurrent(nn.Module):
    """An RNN fed (B, obs_dim): one sequence of length B."""

    def __init__(self):
        super().__init__()
        self.rnn, self.out = nn.GRU(3, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


@pytest.mark.parametrize("q", [Centred, lambda: Dueling(True), Recurrent])
def test_networks_that_mix_the_rows_of_a_batch(q):
    refused(q(), random_batch(12), "mixes the rows", "alone")
    refused(q(), random_batch(12), "mixes the rows", metric=second_order)


def test_a_dueling_network_without_the_bug():
    assert_measured(Dueling(False), random_batch(12))


def test_an_rnn_with_each_row_a_sequence_of_its_own():
    alone = lambda q, obs: q(obs[None])[0]  # noqa: E731
    assert_measured(Recurrent(), random_batch(12), forward=alone)


# crashes that should work, or speak


class Casting(nn.Module):
    """Casts to float32 inside, as tianshou's networks and SB3's q_net do."""

    def __init__(self):
        super().__init__()
        self.net = mlp()

    def forward(self, x):
        return self.net(x.float())


def test_networks_that_cast_inside_are_measured_in_their_own_precision():
    q = Casting()
    result = assert_measured(q, random_batch(13), rel=1e-4, dtype=torch.float32)
    assert result.dtype == "float32"
    free = interference(q, random_batch(13), LR)
    assert free == result and "insists" in free.notes[0]
    assert interference(mlp(), random_batch(13), LR).dtype == "float64"
    refused(Casting(), random_batch(13), "does not compute in float64", dtype=torch.float64)


@pytest.mark.parametrize(
    "scale",
    [lambda x: x / 255, lambda x: x.double() / 255, lambda x: x / 255.0],
    ids=["whole", "double", "fraction"],
)
def test_images_stay_bytes_until_the_call(scale):
    result = assert_measured(cnn(), images(14), forward=lambda q, obs: q(scale(obs)))
    assert result.dtype == "float64"


def test_a_network_that_scales_bytes_alone_gets_bytes():
    def forward(q, obs):
        return q(obs / 255 if obs.dtype == torch.uint8 else obs)

    assert_measured(cnn(), images(15), forward=forward)


def test_dict_and_tuple_observations():
    batch = random_batch(16)
    split = lambda x: {"a": x[:, :1], "b": (x[:, 1:2], torch.as_tensor(x[:, 2:]))}  # noqa: E731
    both = batch._replace(obs=split(batch.obs), next_obs=split(batch.next_obs))
    q = mlp()
    result = interference(q, both, LR, forward=lambda q, o: q(torch.cat([o["a"], *o["b"]], 1)))
    assert result == interference(q, batch, LR)


class Answer(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.net, self.wrap = mlp(), wrap

    def forward(self, x):
        return self.wrap(self.net(x))


@pytest.mark.parametrize(
    ("wrap", "unwrap"),
    [
        (lambda x: (x, None), lambda x: x[0]),
        (lambda x: SimpleNamespace(q=x), lambda x: x.q),
        (lambda x: torch.stack([x - 1, x + 1], -1), lambda x: x.mean(-1)),
    ],
    ids=["tuple", "object", "quantiles"],
)
def test_answers_that_are_no_matrix(wrap, unwrap):
    q = Answer(wrap)
    refused(q, random_batch(17), "it must return Q-values (1, num_actions)", "forward=")
    assert_measured(q, random_batch(17), forward=lambda q, obs: unwrap(q(obs)))


def test_a_module_without_forward():
    class Silent(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp()

        def values(self, x):
            return self.net(x)

    refused(Silent(), random_batch(18), "q does not take these observations", "forward=")
    assert_measured(Silent(), random_batch(18), forward=lambda q, obs: q.values(obs))


def test_what_is_no_network():
    refused([mlp()], random_batch(18), "q is a list", "torch.nn.Module")
    refused(nn.Identity(), random_batch(18), "no parameters")


@pytest.mark.parametrize("double", [False, True])
def test_a_target_network_bootstraps_as_a_constant(double):
    target = mlp()
    result = assert_measured(mlp(), random_batch(19), target=target, double=double)
    assert result["mgi"] == pytest.approx(result["sgi"])  # grad h = grad Q
    other = interference(mlp(), random_batch(19), LR, target=target, double=not double)
    assert other["td_loss"] != result["td_loss"]


def test_double_without_a_target():
    refused(mlp(), random_batch(19), "double is True without a target", double=True)


def test_second_order_with_a_target_network():
    """Eq. (10) with a constant target: what SGD on half the squared error does."""
    q, target, batch = mlp().double(), mlp().double(), random_batch(20, size=5)
    terms = second_order(q, batch, LR, 0.9, target=target)
    with torch.no_grad():
        best = target(torch.as_tensor(batch.next_obs).double()).max(1).values
        live = 0.9 * (1 - torch.as_tensor(batch.terminated).double())
        y = torch.as_tensor(batch.reward).double() + live * best

    def losses(net):
        values = net(torch.as_tensor(batch.obs).double())
        return (values.gather(1, torch.as_tensor(batch.action)[:, None])[:, 0] - y).square()

    falls = []
    for i in range(5):
        net = copy.deepcopy(q)
        before = losses(net)
        (0.5 * before[i]).backward()
        torch.optim.SGD(net.parameters(), LR).step()
        falls.append((before - losses(net)).mean().item())
    assert terms["realised"] == pytest.approx(np.mean(falls), rel=1e-9)
    assert terms["switched"] == 0
    terms = second_order(q, batch, 1e-4, 0.9, target=target)
    left = terms["realised"] - terms["first_order"] + terms["squared"] + terms["hessian"]
    assert abs(left) < 0.1 * abs(terms["hessian"])


def test_discounts_of_n_step_batches():
    batch = random_batch(21)
    discount = 0.9 ** np.random.default_rng(0).integers(1, 4, 12)
    q = mlp()
    assert_measured(q, batch, discount=discount)
    told = interference(q, batch, LR, discount=discount)
    named = SimpleNamespace(**batch._asdict(), discounts=torch.as_tensor(discount)[:, None])
    table = {**batch._asdict(), "discounts": discount}
    assert interference(q, named, LR) == interference(q, table, LR) == told
    refused(mlp(), batch, "discount runs from", discount=np.full(12, 1.5))


def test_columns_and_other_libraries_names():
    batch, q = random_batch(22), mlp()
    columns = batch._replace(**{n: getattr(batch, n)[:, None] for n in ("action", "reward")})
    columns = columns._replace(terminated=batch.terminated[:, None].astype(np.float32))
    samples = SimpleNamespace(
        observations=torch.as_tensor(columns.obs),
        actions=torch.as_tensor(columns.action),
        rewards=torch.as_tensor(columns.reward),
        next_observations=torch.as_tensor(columns.next_obs),
        dones=torch.as_tensor(columns.terminated),
    )
    plain = interference(q, batch, LR)
    assert interference(q, columns, LR) == interference(q, samples, LR) == plain
    assert interference(q, batch._asdict(), LR) == plain
    with pytest.raises(MetricError, match="a SimpleNamespace without terminated"):
        del samples.dones
        interference(q, samples, LR)


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("metric", [interference, second_order])
def test_contexts_around_the_call(around, metric):
    q, batch = mlp(), random_batch(23)
    expected = metric(q, batch, LR)
    with around():
        made = Transitions(*(torch.as_tensor(x).clone() for x in batch))
        assert metric(q, made, LR) == expected
        assert not torch.is_grad_enabled()


def test_compiled_and_parallel_modules_are_unwrapped():
    q, batch = mlp(), random_batch(24)
    expected = interference(q, batch, LR)
    assert interference(torch.compile(q, backend="eager"), batch, LR) == expected
    assert interference(nn.DataParallel(q), batch, LR) == expected


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("make", ["script", "trace"])
def test_jit(make):
    q, batch = mlp(), random_batch(25)
    jitted = torch.jit.script(q) if make == "script" else torch.jit.trace(q, torch.zeros(2, 3))
    assert interference(jitted, batch, LR) == pytest.approx(loop_of(q, batch), rel=1e-6)


def loop_of(q, batch) -> dict[str, float]:
    expected = loop(q, batch, LR)
    return {name: expected[name] for name in NAMES}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
def test_old_weight_norm():
    q = mlp()
    nn.utils.weight_norm(q[0])
    q(torch.zeros(2, 3))  # the weight is now a result, which deepcopy refuses
    new = mlp()
    new.load_state_dict(mlp().state_dict())
    batch = random_batch(26)
    by_hand = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 8)), *q[1:])
    with torch.no_grad():
        by_hand[0].bias.copy_(q[0].bias)
        by_hand[0].parametrizations.weight.original0.copy_(q[0].weight_g)
        by_hand[0].parametrizations.weight.original1.copy_(q[0].weight_v)
    assert interference(q, batch, LR) == pytest.approx(loop_of(by_hand, batch), rel=1e-9)


def test_cached_activations():
    class Caching(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.kept = mlp(), {}

        def forward(self, x):
            self.kept["features"] = [self.net[0](x)]
            self.last = self.net(x)
            return self.last

    q = Caching()
    q(torch.zeros(2, 3))
    assert interference(q, random_batch(27), LR) == pytest.approx(
        loop_of(q.net, random_batch(27)), rel=1e-9
    )


def test_lazy_layers_need_a_first_call():
    q = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 2))
    refused(q, random_batch(28), "lazy layer", "call q once")
    refused(mlp(), random_batch(28), "lazy layer", target=q)
    q(torch.zeros(1, 3))
    assert_measured(q, random_batch(28))


@pytest.mark.filterwarnings("ignore:.*spectral_norm.*is deprecated")
@pytest.mark.parametrize("of", [nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm])
def test_spectral_norm(of):
    q = mlp()
    of(q[0])
    q(torch.zeros(2, 3))
    plain = copy.deepcopy(q.eval()) if of is not nn.utils.spectral_norm else None
    result = interference(q, random_batch(28), LR)
    if plain is not None:
        assert result == pytest.approx(loop_of(plain, random_batch(28)), rel=1e-9)
    assert math.isfinite(result["gi2"])


def test_what_cannot_be_copied():
    q = mlp()
    q.lock = (x for x in ())
    refused(q, random_batch(28), "cannot be copied", "plain module")


def test_frozen_networks():
    q = mlp().requires_grad_(False)
    refused(q, random_batch(29), "all parameters of q are frozen", "requires_grad_(True)")
    refused(
        mlp(),
        random_batch(29),
        "no trainable parameter",
        forward=torch.no_grad()(lambda q, obs: q(obs)),
    )


def test_partly_frozen_networks():
    q = mlp()
    q[0].weight.requires_grad_(False)
    q[3].bias.requires_grad_(False)
    assert_measured(q, random_batch(30))


class Shared(nn.Module):
    """Uses one layer twice, and the transpose of another's weight directly."""

    def __init__(self):
        super().__init__()
        self.first, self.twice, self.out = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x):
        z = torch.tanh(self.first(x))
        z = torch.tanh(self.twice(torch.tanh(self.twice(z)))) * self.scale
        return self.out(z) + F.linear(z, self.out.weight) ** 2


class Gated(nn.Module):
    """Reads a layer's weight once more, but not for every state."""

    def __init__(self):
        super().__init__()
        self.first, self.out = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        z = torch.tanh(self.first(x))
        return self.out(z) + (x[:, :1] > 0) * F.linear(z, self.out.weight) ** 2


def test_a_second_use_that_the_last_rows_do_not_show():
    batch = random_batch(31)
    batch.obs[-4:, 0] = -1
    assert_measured(Gated(), batch)


def test_layers_that_are_used_twice():
    assert_measured(Shared(), random_batch(31))
    q = mlp()
    tied = nn.Sequential(q[0], q[1], q[2], nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), q[3])
    tied[5].weight = tied[3].weight
    assert_measured(tied, random_batch(31))


class Tokens(nn.Module):
    """Attention over the observation's numbers: layers that read several positions."""

    def __init__(self):
        super().__init__()
        self.embed, self.norm = nn.Linear(1, 8), nn.LayerNorm(8)
        self.mix = nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        z = self.norm(self.embed(x[..., None]))
        return self.out((z + self.mix(z, z, z, need_weights=False)[0]).mean(1))


class Odd(nn.Module):
    """Convolutions of every kind, a batch norm, and an overwritten activation."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv1d(1, 3, 2, padding=1, dilation=2)
        self.groups = nn.Conv1d(3, 3, 1, groups=3)
        self.same = nn.Conv1d(3, 2, 3, padding="same")
        self.norm = nn.BatchNorm1d(2)
        self.out = nn.Linear(6, 2)

    def forward(self, x):
        z = F.relu_(self.one(x[:, None]))
        return self.out(self.norm(F.relu_(self.same(self.groups(z)))).flatten(1))


class Embedding(nn.Module):
    """Discrete observations, as integers."""

    def __init__(self):
        super().__init__()
        self.table, self.out = nn.Embedding(5, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(torch.tanh(self.table(x)))


@pytest.mark.parametrize("q", [Tokens, Odd], ids=lambda q: q.__name__)
def test_layers_of_many_kinds(q):
    assert_measured(q(), random_batch(32))


def test_discrete_observations():
    rng = np.random.default_rng(33)
    obs, next_obs = rng.integers(5, size=(2, 12))
    assert_measured(Embedding(), random_batch(33)._replace(obs=obs, next_obs=next_obs))


def test_action_masks():
    """-inf marks what is not allowed at s'; such an action is never greedy."""
    mask = torch.tensor([0.0, -math.inf])
    masked = lambda q, obs: torch.where(obs[:, :1] > 0, q(obs), q(obs) + mask.to(obs))  # noqa: E731
    batch = random_batch(34)
    batch = batch._replace(action=np.zeros(12, int))
    assert_measured(mlp(), batch, forward=masked)


def test_nothing_of_the_callers_changes():
    q, batch = mlp().train(), random_batch(35)
    before = [p.clone() for p in q.parameters()]
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    dtype = torch.get_default_dtype()
    torch.set_num_threads(2)
    try:
        interference(q, batch, LR)
        second_order(q, batch, LR)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() == dtype
    assert q.training and all(p.grad is None for p in q.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, q.parameters(), strict=True))


def test_the_default_precision_of_the_process_stays_for_ordinary_networks(monkeypatch):
    """Other threads make tensors meanwhile."""
    monkeypatch.setattr(torch, "set_default_dtype", None)
    assert interference(mlp(), random_batch(35), LR).dtype == "float64"
    second_order(mlp(), random_batch(35), LR)


def test_an_unknown_argument_is_named():
    with pytest.raises(TypeError, match="targets"):
        interference(mlp(), random_batch(36), LR, targets=mlp())


def test_rows_must_fit():
    batch = random_batch(37)
    refused(mlp(), batch._replace(next_obs=batch.next_obs[:-1]), "next_obs has 11 rows")
    refused(mlp(), batch._replace(reward=batch.reward[:-1]), "reward has shape (11,)")
    refused(mlp(), batch._replace(obs=batch.obs[:, :2]), "q does not take these observations")
    wrong = functools.partial(mlp, num_actions=3)()
    refused(mlp(), batch, "other actions", target=wrong)

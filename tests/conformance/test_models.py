"""Random models, trained by random optimizers for 20 steps: every loss on the way and every number at the end is torch's."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings

torch = pytest.importorskip("torch", reason="torch is only installed where conformance is checked: see the extra `conformance`")

import tinytorch as tt  # noqa: E402
from tests.conformance.models import batch, definitions, twins  # noqa: E402

REPEATABLE = settings(derandomize=True, deadline=None, database=None, max_examples=100, suppress_health_check=list(HealthCheck))
STEPS = 20


def trained(definition):
    """Ours and torch's model after STEPS steps, with the losses of both."""
    both, (x, targets) = twins(definition), batch(definition)
    loss, (name, how), (schedule, *when) = definition.loss, definition.optimizer, definition.schedule or (None,)
    mine, other = getattr(tt, name)(both.ours.parameters(), **how), getattr(torch.optim, name)(both.theirs.parameters(), **how)
    plans = (getattr(tt, schedule)(mine, *when), getattr(torch.optim.lr_scheduler, schedule)(other, *when)) if schedule else ()
    ours, theirs = getattr(tt, loss[0]), getattr(torch.nn, loss[0])
    named = dict(zip(("reduction", "delta") if loss[0] != "CrossEntropyLoss" else ("label_smoothing",), loss[1:]))
    ours, theirs = ours(**named), theirs(**named)
    a, b, c = tt.Tensor(x, dtype=x.dtype), torch.tensor(x), torch.tensor(targets)
    found = []
    for _ in range(STEPS):
        mine.zero_grad()
        other.zero_grad()
        pair = ours(both.ours(a), tt.Tensor(targets, dtype=targets.dtype)), theirs(both.theirs(b), c)
        for each in pair:
            each.backward()
        if definition.clip:
            tt.clip_grad_norm(both.ours.parameters(), definition.clip)
            torch.nn.utils.clip_grad_norm_(both.theirs.parameters(), definition.clip)
        for each in (mine, other, *plans):
            each.step()
        found.append([each.item() for each in pair])
    return both, np.array(found)


@pytest.mark.filterwarnings("ignore")
@REPEATABLE
@given(definition=definitions())
def test_they_train_as_their_twins_do(definition):
    note(f"{definition}")
    both, losses = trained(definition)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=1e-8)
    for mine, other, turned in both.pairs:
        want = other.detach().numpy()
        np.testing.assert_allclose(mine.numpy(), want.T if turned else want, rtol=1e-6, atol=1e-9)
    both.ours.eval()
    both.theirs.eval()
    x = batch(definition)[0]
    got, want = both.ours(tt.Tensor(x, dtype=x.dtype)).numpy(), both.theirs(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)         # batch norm keeps its statistics in float32


def test_the_models_are_of_all_kinds():
    met = []

    @settings(REPEATABLE)
    @given(definition=definitions())
    def collect(definition):
        met.append({name for name in str(definition).replace("'", " ").split() if name.isidentifier()})

    collect()
    wanted = "table images words Linear Conv2d Embedding Heads Around LayerNorm RMSNorm BatchNorm1d BatchNorm2d MaxPool2d AvgPool2d".split()
    wanted += "AdaptiveAvgPool2d SGD Adam AdamW RMSprop Adagrad CrossEntropyLoss MSELoss L1Loss HuberLoss BCEWithLogitsLoss NLLLoss".split()
    assert not [name for name in wanted if sum(name in each for each in met) < 3]

"""The loss and the article's Jaccard index."""

import pytest
import torch
from torch.nn import functional

from imagerydl.training.channels import IGNORED
from imagerydl.training.losses import PixelLoss, balancing_weights
from imagerydl.training.settings import LossSettings


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return torch.randn(3, 4, 8, 8), torch.randint(4, (3, 8, 8))


def article_jaccard(logits, target):
    """Literally: flatten one-hot truth and softmax, (I + 1) / (sum + sum - I + 1)."""
    truth = functional.one_hot(target, logits.shape[1]).permute(0, 3, 1, 2).flatten().float()
    predicted = logits.softmax(dim=1).flatten()
    overlap = (truth * predicted).sum()
    return (overlap + 1) / (truth.sum() + predicted.sum() - overlap + 1)


def test_the_jaccard_index_is_the_articles(batch):
    """U13: intersection over union of the flattened one-hot truth and softmax (U7)."""
    _, jaccard = PixelLoss(LossSettings())(*batch)
    assert jaccard.item() == pytest.approx(article_jaccard(*batch).item(), abs=1e-6)


def test_a_perfect_prediction_has_jaccard_1(batch):
    target = batch[1]
    perfect = functional.one_hot(target, 4).permute(0, 3, 1, 2) * 100.0
    loss, jaccard = PixelLoss(LossSettings())(perfect, target)
    assert jaccard.item() == pytest.approx(1)
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_the_default_is_cross_entropy_and_half_the_missing_jaccard(batch):
    """U15: categorical cross entropy, here with an overlap term."""
    loss, jaccard = PixelLoss(LossSettings())(*batch)
    expected = functional.cross_entropy(*batch) + 0.5 * (1 - jaccard)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        LossSettings(),
        LossSettings(dice_loss_fraction=0.5),
        LossSettings(dice_loss_fraction=0.5, dice_loss_average="macro"),
        LossSettings(focal_loss=True),
    ],
)
def test_ignored_pixels_change_nothing(batch, settings):
    logits, target = batch
    loss = PixelLoss(settings, torch.tensor([1.0, 2.0, 3.0, 4.0]))
    whole = loss(logits[..., :4], target[..., :4])
    ignored = target.clone()
    ignored[..., 4:] = IGNORED
    masked = loss(logits, ignored)
    assert masked[0].item() == pytest.approx(whole[0].item(), rel=1e-5)
    assert masked[1].item() == pytest.approx(whole[1].item(), rel=1e-5)


def test_a_batch_without_any_class_has_a_finite_loss(batch):
    logits = batch[0].requires_grad_()
    loss, _ = PixelLoss(LossSettings(focal_loss=True))(logits, torch.full((3, 8, 8), IGNORED))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_class_weights_are_those_of_cross_entropy(batch):
    weights = torch.tensor([0.5, 1.0, 2.0, 0.1])
    loss, _ = PixelLoss(LossSettings(jaccard_loss_weight=0), weights)(*batch)
    assert loss.item() == pytest.approx(functional.cross_entropy(*batch, weight=weights).item(), rel=1e-5)


def test_dice_macro_is_the_mean_over_classes(batch):
    logits, target = batch
    truth = functional.one_hot(target, 4).permute(0, 3, 1, 2).float()
    predicted = logits.softmax(dim=1)
    dice = [
        (2 * (truth[:, c] * predicted[:, c]).sum() + 1) / (truth[:, c].sum() + predicted[:, c].sum() + 1)
        for c in range(4)
    ]
    settings = LossSettings(dice_loss_fraction=1.0, dice_loss_average="macro", jaccard_loss_weight=0)
    loss, _ = PixelLoss(settings)(logits, target)
    assert loss.item() == pytest.approx(1 - (sum(dice) / 4).item(), rel=1e-5)


def test_the_focal_loss_cares_less_about_what_is_right_already():
    logits, target = torch.tensor([2.0, 0.0]).view(1, 2, 1, 1), torch.zeros(1, 1, 1, dtype=torch.long)
    plain, _ = PixelLoss(LossSettings(jaccard_loss_weight=0))(logits, target)
    focal, _ = PixelLoss(LossSettings(focal_loss=True, jaccard_loss_weight=0))(logits, target)
    assert focal.item() == pytest.approx((1 - torch.exp(-plain).item()) ** 2 * plain.item(), rel=1e-5)


def test_balancing_weighs_rare_classes_more():
    weights = balancing_weights([900, 100, 0])
    assert weights.tolist() == pytest.approx([1000 / 1800, 5.0, 0.0])
    assert balancing_weights([1_000_000, 1])[1] == 10

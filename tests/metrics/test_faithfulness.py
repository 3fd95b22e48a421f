"""ROAD and AOPC against their formulas and the paper's curve."""
import pytest
import torch

from nblib.metrics import aopc, impute, kept_pixels, road
from nblib.targets import class_probability
from tests.fixtures.networks import SmallNet, settled


@pytest.fixture
def setting():
    generator = torch.Generator().manual_seed(0)
    model = settled(SmallNet())
    images = torch.rand(6, 3, 12, 12, generator=generator, dtype=torch.float64)
    labels = model(images).argmax(1).detach()
    maps = torch.randn(6, 12, 12, generator=generator, dtype=torch.float64)
    return model, images, labels, maps


def test_road_is_imputation_and_a_forward_pass_for_each_percentage(setting):
    model, images, labels, maps = setting
    percentages = [0, 13, 50.5, 99]
    for value in ("correct", "probability", "logit"):
        curve = road(model, images, labels, maps, percentages=percentages, value=value)
        assert curve.shape == (6, 5)
        for n in range(6):
            order = sorted(range(144), key=lambda place: -maps[n].flatten()[place].item())
            for k, p in enumerate([None, *percentages]):
                keep = torch.ones(144, dtype=torch.bool)
                keep[order[: 0 if p is None else int(144 * p / 100)]] = False
                image = impute(images[n : n + 1], keep.view(1, 12, 12))
                logits = model(image).detach()
                expected = {"correct": float(logits.argmax() == labels[n]), "logit": logits[0, labels[n]].item(),
                            "probability": class_probability(labels[n : n + 1])(logits).item()}[value]
                assert curve[n, k].item() == pytest.approx(expected, abs=1e-3)
    assert torch.equal(curve[:, 0], curve[:, 1])  # 0 % removed is untouched, without noise


def test_morf_is_lerf_of_the_negated_map_and_random_ignores_it(setting):
    model, images, labels, maps = setting
    maps = maps.round()  # many ties
    options = {"percentages": [20, 60], "value": "probability"}
    morf = road(model, images, labels, maps, order="morf", **options)
    assert torch.allclose(morf, road(model, images, labels, -maps, order="lerf", **options))
    assert not torch.allclose(morf, road(model, images, labels, maps, order="lerf", **options))
    first, second = (road(model, images, labels, m, order="random", **options) for m in (maps, -maps))
    assert torch.equal(first, second)


def test_road_does_not_depend_on_chunks_and_leaves_the_model(setting):
    model, images, labels, maps = setting
    options = {"percentages": [10, 40, 90], "value": "logit"}
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    whole = road(model, images, labels, maps, **options)
    assert torch.allclose(whole, road(model, images, labels, maps, chunk_size=1, **options), atol=1e-3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not whole.requires_grad


def test_pixels_go_by_rank_and_equal_values_by_the_seed():
    maps = torch.tensor([[[3.0, 1.0], [2.0, 0.0]]])
    assert kept_pixels(maps, [50])[0, 0].tolist() == [[False, True], [False, True]]
    assert kept_pixels(maps, [50], order="lerf")[0, 0].tolist() == [[True, False], [True, False]]
    flat = torch.zeros(1, 10, 10)
    assert torch.equal(kept_pixels(flat, [30]), kept_pixels(flat, [30]))
    assert not torch.equal(kept_pixels(flat, [30]), kept_pixels(flat, [30], seed=1))
    assert int((~kept_pixels(flat, [29.9])).sum()) == 29


@pytest.mark.parametrize("change, message", [
    ({"order": "more"}, "morf"), ({"value": "right"}, "correct"), ({"percentages": [100]}, "less"),
    ({"percentages": [-1]}, "percentages"), ({"labels": torch.full((6,), 4)}, "4 classes: 0 to 3"),
    ({"labels": torch.zeros(5, dtype=torch.long)}, "labels"), ({"maps": torch.zeros(6, 12, 11)}, "maps"),
    ({"maps": torch.full((6, 12, 12), torch.nan)}, "finite"),
    ({"images": torch.full((6, 3, 12, 12), torch.nan)}, "finite"),
])
def test_road_refuses(setting, change, message):
    model, images, labels, maps = setting
    arguments = {"images": images, "labels": labels, "maps": maps, "percentages": [10]} | change
    with pytest.raises(ValueError, match=message):
        road(model, arguments.pop("images").double(), arguments.pop("labels"), arguments.pop("maps"), **arguments)
    with pytest.raises(ValueError, match="training mode"):
        road(model.train(), images, labels, maps, percentages=[10])


DENSE_VG = [1.0, .9854, .9303, .8855, .8276, .7687, .7003, .6167, .5189, .4195, .3024]  # from P2's authors' code


def test_areas_of_the_papers_curve():
    curve = torch.tensor(DENSE_VG, dtype=torch.float64)
    assert aopc(curve, reference="published").item() == pytest.approx(0.263538, abs=5e-5)  # it has four digits
    assert aopc(curve).item() == pytest.approx(0.2768, abs=5e-5)
    assert aopc(curve.expand(3, -1)).shape == (3,)
    assert aopc(torch.full((4, 6), 0.7)).abs().max() < 1e-7
    with pytest.raises(ValueError, match="untouched"):
        aopc(curve, reference="untouchd")
    with pytest.raises(ValueError, match="removal"):
        aopc(curve[:1])


@pytest.mark.parametrize("percentages", [[], 50, "10", torch.tensor(50.0)])
def test_percentages_have_to_be_a_list(percentages):
    with pytest.raises(ValueError, match="percentages"):
        road(settled(SmallNet()), torch.rand(2, 3, 12, 12, dtype=torch.float64), torch.tensor([0, 1]),
             torch.rand(2, 12, 12), percentages=percentages)

"""Architectures: sizes, published parameter counts, cost at equal encoder, receptive fields."""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pipeline_lib.errors import InputError, ModelError
from pipeline_lib.nn.blocks import bilinear_kernel
from pipeline_lib.nn.checkpoint import write_tensors
from pipeline_lib.nn.encoders import build_encoder
from pipeline_lib.nn.networks import build_network, coarsest_stride, gigaflops, halo_px, parameter_count
from pipeline_lib.nn.pretrained import adapt_stem, load_encoder
from pipeline_lib.options.train import NetworkOptions

ARCHITECTURES = ("unet", "fcn32s", "fcn16s", "fcn8s", "linknet", "pspnet", "deeplabv3plus")
ENCODERS = ("plain", "resnet18", "vgg16")


def network_of(architecture: str, encoder: str = "plain", bands: int = 2, **changes: object) -> nn.Module:
    options = NetworkOptions.model_validate(
        {"architecture": architecture, "encoder": encoder, "width": 4, "depth": 4, "head_width": 16} | changes
    )
    return build_network(options, bands)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_have_the_input_size_for_any_bands(architecture: str, encoder: str) -> None:
    for bands in (1, 2, 7):
        network = network_of(architecture, encoder, bands).eval()
        assert network(torch.randn(2, bands, 64, 96)).shape == (2, 2, 64, 96)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_parameter_learns(architecture: str) -> None:
    network = network_of(architecture).train()
    out = network(torch.randn(2, 2, 64, 64))
    loss = out.square().mean()
    if architecture == "pspnet":
        loss = loss + network.auxiliary(torch.randn(2, 2, 64, 64)).square().mean()
    loss.backward()
    still = [name for name, p in network.named_parameters() if p.grad is None]
    assert not still


def test_published_sizes() -> None:
    """Original widths: U-Net 31.04 M, FCN-8s on VGG-16 134.3 M, LinkNet on ResNet-18 11.5 M (within 2 %)."""
    with torch.device("meta"):
        unet = network_of("unet", width=64, depth=5)
        fcn = network_of("fcn8s", "vgg16", width=64, head_width=4096)
        linknet = network_of("linknet", "resnet18", width=64)
    assert parameter_count(unet) == pytest.approx(31.04e6, rel=0.002)
    assert parameter_count(fcn) == pytest.approx(134.27e6, rel=0.002)
    assert parameter_count(linknet) == pytest.approx(11.6e6, rel=0.02)
    assert gigaflops(unet, 2) == pytest.approx(385.1, rel=0.01)
    assert gigaflops(fcn, 2) == pytest.approx(221.3, rel=0.01)


def test_course_order_at_equal_encoder_and_where_it_fails() -> None:
    """DeepLabV3 > U-Net > FCN in the course. On one ResNet-18 the encoder's stride decides, not the head's name."""
    with torch.device("meta"):
        cost = {
            name: gigaflops(network_of(name, "resnet18", width=64, head_width=256), 2)
            for name in ("fcn32s", "unet", "linknet", "deeplabv3plus", "pspnet")
        }
    assert cost["unet"] > cost["fcn32s"]
    assert cost["unet"] > cost["linknet"]
    assert cost["pspnet"] > cost["deeplabv3plus"]  # output stride 8 against 16
    assert cost["unet"] > cost["deeplabv3plus"]  # separable convolutions: here the course's order does not hold


def test_unet_concatenates_and_linknet_adds() -> None:
    unet, linknet = network_of("unet"), network_of("linknet")
    assert unet.levels[0].merge[0][0].in_channels == 2 * unet.levels[0].merge[0][0].out_channels
    assert linknet.blocks[0][-1][0].out_channels == linknet.encoder.channels[-2]


def test_fcn_skips_start_at_nothing() -> None:
    """FCN-8s starts as FCN-32s up to the upsampling: its skip scores are zero."""
    network = network_of("fcn8s")
    for score in network.skip_scores:
        assert not score.weight.any()
        assert not score.bias.any()


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_bilinear_kernel_is_bilinear_upsampling(factor: int) -> None:
    image = torch.randn(1, 3, 9, 7)
    ours = F.conv_transpose2d(image, bilinear_kernel(3, factor), stride=factor, padding=factor // 2)
    theirs = F.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)
    inner = slice(factor, -factor)
    torch.testing.assert_close(ours[..., inner, inner], theirs[..., inner, inner])


@pytest.mark.parametrize(("architecture", "encoder"), [("unet", "plain"), ("linknet", "plain"), ("unet", "resnet18")])
def test_halo_holds_the_whole_receptive_field(architecture: str, encoder: str) -> None:
    """Nothing further away than the halo changes a pixel, and something just inside half of it can."""
    torch.manual_seed(1)
    network = network_of(architecture, encoder, depth=3).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.uniform_(module.weight, 0, 0.2)
    halo = halo_px(network, 2)
    assert halo is not None
    assert halo % coarsest_stride(network) == 0
    side = 2 * halo + 128
    side += -side % 32
    centre = side // 2
    image = torch.rand(1, 2, side, side)
    far = image.clone()
    far[..., : centre - halo, :] += 5
    far[..., :, centre + halo + 1 :] += 5
    with torch.inference_mode():
        a, b = network(image)[..., centre, centre], network(far)[..., centre, centre]
    torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_networks_with_global_context_have_no_halo() -> None:
    assert halo_px(network_of("pspnet"), 2) is None
    assert halo_px(network_of("deeplabv3plus"), 2) is None


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_dilation_keeps_the_output_stride(output_stride: int) -> None:
    encoder = build_encoder("resnet34", 2, width=4, output_stride=output_stride)
    assert encoder.strides[-1] == output_stride
    assert encoder(torch.zeros(1, 2, 64, 64))[-1].shape[-1] == 64 // output_stride


def test_unknown_encoder_and_no_bands_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        build_encoder("plain", 0, width=4)
    with pytest.raises(InputError, match="resnet18"):
        build_encoder("resnet99", 2, width=4)


def test_stem_adapts_to_other_bands_without_changing_scale() -> None:
    weight = torch.randn(8, 3, 7, 7)
    grey = torch.rand(1, 1, 16, 16)
    before = F.conv2d(grey.expand(-1, 3, -1, -1), weight)
    after = F.conv2d(grey.expand(-1, 5, -1, -1), adapt_stem(weight, 5))
    torch.testing.assert_close(before, after, atol=1e-4, rtol=1e-4)


def test_pretrained_encoder_loads_by_torchvision_names(tmp_path) -> None:
    source, target = network_of("unet", "resnet18", bands=3), network_of("unet", "resnet18", bands=2)
    path = tmp_path / "encoder.safetensors"
    tensors = {f"backbone.{name}": value for name, value in source.encoder.state_dict().items()}
    write_tensors(path, {**tensors, "fc.weight": torch.zeros(10, 4)})
    assert load_encoder(target, str(path)) == len(source.encoder.state_dict())
    torch.testing.assert_close(target.encoder.layer1[0].conv1.weight, source.encoder.layer1[0].conv1.weight)
    with pytest.raises(ModelError, match="another encoder"):
        load_encoder(network_of("unet", "plain"), str(path))


def test_pretrained_encoder_loads_from_libraries_where_installed(monkeypatch) -> None:
    source = network_of("unet", "resnet18", bands=3).encoder
    asked: list[object] = []

    def given(*args: object, **options: object) -> object:
        asked.append((*args, options))
        return source

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=given))
    encoders = SimpleNamespace(get_encoder=given)
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", SimpleNamespace(encoders=encoders))
    weights = SimpleNamespace(get_state_dict=lambda **options: given("fetched", **options).state_dict())
    torchgeo = SimpleNamespace(get_weight=lambda name: given(name) and weights)
    monkeypatch.setitem(sys.modules, "torchgeo", SimpleNamespace(models=torchgeo))
    monkeypatch.setitem(sys.modules, "torchgeo.models", torchgeo)
    for name in ("timm:resnet18.a1_in1k", "smp:resnet18:imagenet", "torchgeo:ResNet18_Weights.SENTINEL1_ALL_MOCO"):
        target = network_of("unet", "resnet18", bands=2)
        assert load_encoder(target, name) == len(source.state_dict())
        torch.testing.assert_close(target.encoder.layer4[1].conv2.weight, source.layer4[1].conv2.weight)
    assert asked == [
        ("resnet18.a1_in1k", {"pretrained": True}),
        ("resnet18", {"weights": "imagenet"}),
        ("ResNet18_Weights.SENTINEL1_ALL_MOCO", {}),
        ("fetched", {"progress": False, "weights_only": True}),
    ]


def test_a_library_that_is_missing_or_has_no_such_weights(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match=r"overbank\[encoders\]"):
        load_encoder(network_of("unet", "resnet18"), "timm:resnet18.a1_in1k")

    def unknown(name: str, **_: object) -> object:
        raise RuntimeError(f"Unknown model ({name})")

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=unknown))
    with pytest.raises(ModelError, match="resnet_18"):
        load_encoder(network_of("unet", "resnet18"), "timm:resnet_18")


def test_same_seed_same_weights() -> None:
    torch.manual_seed(5)
    a = network_of("unet")
    torch.manual_seed(5)
    b = network_of("unet")
    for mine, theirs in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.slow
def test_halo_of_a_network_in_training_order() -> None:
    """Training leaves networks in channels-last order; the halo is the same, and finding it does not crash."""
    network = network_of("unet", "resnet18")
    plain = halo_px(network, 2)
    assert halo_px(network.to(memory_format=torch.channels_last), 2) == plain

#!/usr/bin/env python3
"""Makes a zoo of architectures beyond the benchmark zoo's, seeded random weights, with PyTorch's outputs.

usage: more_models.py OUT_DIR [NAME..]
Writes OUT_DIR/NAME/model.onnx and one data set each, as `cargo xtask bench peers OUT_DIR` reads them. Needs torch, torchvision
and transformers; small configurations of large networks, so that all of them take some 3 GB and a minute.
"""
import os, sys, warnings

warnings.filterwarnings("ignore")
os.environ["TRANSFORMERS_OFFLINE"] = "1"
import torch
import torchvision.models as vision
import transformers
from onnx import numpy_helper
from torch import nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def image(side=224, batch=1):
    return (torch.randn(batch, 3, side, side),)


def tokens(count, words=2000):
    return (torch.randint(0, words, (1, count)),)


class First(nn.Module):
    """The first result of a model that has several."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *inputs):
        result = self.model(*inputs)
        return (list(result.values()) if isinstance(result, dict) else result)[0]


def language(name, part=None, **config):
    config = getattr(transformers, f"{name}Config")(**config)
    config._attn_implementation = "eager"
    return First(getattr(transformers, part or f"{name}Model")(config))


def block(conv, norm, act, i, o):
    return nn.Sequential(conv(i, o, 3, padding=1), norm(o), act(), conv(o, o, 3, padding=1), norm(o), act())


class UNet(nn.Module):
    def __init__(self, block, up, pool, channels, into, out, last):
        super().__init__()
        self.down = nn.ModuleList(block(i, o) for i, o in zip([into] + channels[:-1], channels))
        self.raise_ = nn.ModuleList(up(o, i, 2, 2) for i, o in zip(channels[:-1], channels[1:]))
        self.up = nn.ModuleList(block(2 * i, i) for i in channels[:-1])
        self.pool, self.last = pool(2), last(channels[0], out, 1)

    def forward(self, x):
        kept = []
        for stage in self.down[:-1]:
            kept.append(stage(x))
            x = self.pool(kept[-1])
        x = self.down[-1](x)
        for lift, stage, beside in zip(reversed(self.raise_), reversed(self.up), reversed(kept)):
            x = stage(torch.cat([lift(x), beside], 1))
        return self.last(x)


def unet():
    of = lambda i, o: block(nn.Conv2d, lambda c: nn.GroupNorm(8, c), nn.SiLU, i, o)
    return UNet(of, nn.ConvTranspose2d, nn.MaxPool2d, [32, 64, 128, 256], 3, 2, nn.Conv2d)


def unet3d():
    of = lambda i, o: block(nn.Conv3d, lambda c: nn.InstanceNorm3d(c, affine=True), nn.LeakyReLU, i, o)
    return UNet(of, nn.ConvTranspose3d, nn.MaxPool3d, [16, 32, 64], 1, 3, nn.Conv3d)


class Style(nn.Module):
    """Reflected borders, instance normalisation, enlargement, and three channels at the end."""

    def __init__(self):
        super().__init__()
        norm = lambda c: nn.InstanceNorm2d(c, affine=True)
        conv = lambda i, o, k, s=1: nn.Sequential(nn.ReflectionPad2d(k // 2), nn.Conv2d(i, o, k, s), norm(o), nn.ReLU())
        self.down = nn.Sequential(conv(3, 32, 9), conv(32, 64, 3, 2), conv(64, 128, 3, 2))
        self.middle = nn.ModuleList(nn.Sequential(conv(128, 128, 3), conv(128, 128, 3)) for _ in range(5))
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), conv(128, 64, 3), nn.Upsample(scale_factor=2), conv(64, 32, 3))
        self.last = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(32, 3, 9))

    def forward(self, x):
        x = self.down(x)
        for stage in self.middle:
            x = x + stage(x)
        return self.last(self.up(x))


MODELS = {name: (lambda name=name: (getattr(vision, name)(), image())) for name in [
    "resnet18", "resnext50_32x4d", "regnet_y_400mf", "regnet_x_1_6gf", "mnasnet1_0", "mobilenet_v3_small", "efficientnet_v2_s",
    "densenet169", "shufflenet_v2_x0_5", "convnext_tiny", "swin_t", "swin_v2_t", "maxvit_t"]}
MODELS |= {
    "googlenet": lambda: (vision.googlenet(aux_logits=False, init_weights=False), image()),
    "inception_v3": lambda: (vision.inception_v3(aux_logits=False, init_weights=False), image(299)),
    "deeplabv3": lambda: (First(vision.segmentation.deeplabv3_mobilenet_v3_large(weights_backbone=None)), image()),
    "resnet50_groups": lambda: (vision.resnet50(norm_layer=lambda c: nn.GroupNorm(32, c)), image()),
    "r3d_18": lambda: (vision.video.r3d_18(), (torch.randn(1, 3, 8, 64, 64),)),
    "unet": lambda: (unet(), image(256)),
    "unet3d": lambda: (unet3d(), (torch.randn(1, 1, 32, 32, 32),)),
    "style": lambda: (Style(), image(192)),
    "segformer": lambda: (language("Segformer", "SegformerForSemanticSegmentation", num_labels=20), image(256)),
    "mobilevit": lambda: (language("MobileViT", "MobileViTForImageClassification"), image(256)),
    "pvt_v2": lambda: (language("PvtV2"), image()),
    "poolformer": lambda: (language("PoolFormer"), image()),
    "levit": lambda: (language("Levit"), image()),
    "convnext_v2": lambda: (language("ConvNextV2", depths=[2, 2, 4, 2]), image()),
    "dinov2": lambda: (language("Dinov2", hidden_size=384, num_attention_heads=6, num_hidden_layers=4, image_size=224), image()),
    "dpt": lambda: (language("DPT", "DPTForDepthEstimation", hidden_size=192, num_hidden_layers=4, num_attention_heads=3,
                             intermediate_size=768, backbone_out_indices=[0, 1, 2, 3], image_size=224, fusion_hidden_size=64,
                             neck_hidden_sizes=[48, 96, 192, 192], is_hybrid=False), image()),
    "distilbert": lambda: (language("DistilBert", n_layers=4), tokens(64)),
    "albert": lambda: (language("Albert", hidden_size=256, num_attention_heads=4, intermediate_size=1024), tokens(64)),
    "deberta_v2": lambda: (language("DebertaV2", hidden_size=256, num_attention_heads=4, intermediate_size=1024, num_hidden_layers=2,
                                    relative_attention=True, pos_att_type=["c2p", "p2c"], position_buckets=64), tokens(64)),
    "mobilebert": lambda: (language("MobileBert", num_hidden_layers=6), tokens(64)),
    "t5_encoder": lambda: (language("T5", "T5EncoderModel", num_layers=6, d_model=512, d_ff=2048, num_heads=8), tokens(100)),
    "wav2vec2": lambda: (language("Wav2Vec2", num_hidden_layers=3), (torch.randn(1, 16000),)),
    "conformer": lambda: (language("Wav2Vec2Conformer", num_hidden_layers=2, hidden_size=256, num_attention_heads=4,
                                   intermediate_size=1024), (torch.randn(1, 16000),)),
}


def make(out, name):
    torch.manual_seed(7)
    model, inputs = MODELS[name]()
    model.eval()
    with torch.no_grad():
        for norm in (m for m in model.modules() if isinstance(m, NORMS)):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 1.5)
        result = model(*inputs)
        data = f"{out}/{name}/test_data_set_0"
        os.makedirs(data, exist_ok=True)
        torch.onnx.export(model, inputs, f"{out}/{name}/model.onnx", dynamo=False, opset_version=17)
    for kind, tensors in (("input", inputs), ("output", [result])):
        for i, tensor in enumerate(tensors):
            with open(f"{data}/{kind}_{i}.pb", "wb") as f:
                f.write(numpy_helper.from_array(tensor.numpy()).SerializeToString())


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    out, names = sys.argv[1], sys.argv[2:] or list(MODELS)
    for name in names:
        make(out, name)
        print(name, flush=True)


if __name__ == "__main__":
    main()

"""Models of torchvision and transformers for torch_sweep.py: one of each family, small, with random weights.

`MODELS` maps a name to a `Case`. A case makes the module and, for a shape number (0 or 1) and a seed, its inputs. Heads
that begin at zero are given weights, and norms the statistics of a few passes, so that outputs depend on inputs.
"""

import dataclasses
from collections.abc import Callable

import torch
import torchvision
import transformers as hf
from torch import nn

import torch_sound

vision = torchvision.models
hf.logging.set_verbosity_error()


@dataclasses.dataclass
class Case:
    """A model: its group, how it is made, its inputs for a shape (0 or 1) and a seed, names of dims that are free."""

    group: str
    make: Callable[[], nn.Module]
    inputs: Callable[[int, int], tuple]
    # For each input, axis -> name of what is free when the model is exported.
    free: tuple = ()
    # Of a detector, what its results are called, in their order.
    fields: tuple = ()


MODELS = {}


class Picked(nn.Module):
    """A module with tensors as results, called with `call(module, *args)`."""

    def __init__(self, inner, call):
        super().__init__()
        self.inner, self.call = inner, call

    def forward(self, *args):
        return self.call(self.inner, *args)


def generator(shape, seed):
    return torch.Generator().manual_seed(1000 * shape + seed)


def images(*shapes):
    """Inputs of one image batch; `shapes` are the two shapes."""
    return lambda shape, seed: (torch.randn(shapes[shape], generator=generator(shape, seed)),)


def tokens(vocabulary, *shapes, mask=True):
    """Token numbers, with a mask that hides the last token of the last row."""

    def make(shape, seed):
        ids = torch.randint(3, vocabulary, shapes[shape], generator=generator(shape, seed))
        if not mask:
            return (ids,)
        seen = torch.ones_like(ids)
        seen[-1, -1] = 0
        return ids, seen

    return make


BATCH = ({0: "batch"},)
PIXELS = ({0: "batch", 2: "height", 3: "width"},)
WORDS = ({0: "batch", 1: "words"},)


RESIDUAL = {"Bottleneck": "bn3", "BasicBlock": "bn2"}


def tame(module):
    """Makes the branches of residual blocks small beside what they are added to, as training leaves them. Blocks of random
    weights one after the other magnify what float32 rounds off a thousandfold: two runtimes that are both right would be
    1e-4 apart."""
    with torch.no_grad():
        for m in module.modules():
            kind = type(m).__name__
            if kind in RESIDUAL:
                getattr(m, RESIDUAL[kind]).weight.mul_(0.2)
            elif getattr(m, "use_res_connect", False) or getattr(m, "apply_residual", False):
                last = [n for n in m.modules() if isinstance(n, nn.BatchNorm2d)][-1]
                last.weight.mul_(0.2)


def lively(module, example, shapes=(1,)):
    """Gives heads that are zero weights and norms the statistics of a few passes; returns the module for inference."""
    gen = torch.Generator().manual_seed(5)
    tame(module)
    with torch.no_grad():
        for name, p in module.named_parameters():
            if p.dim() > 1 and not p.any():
                p.normal_(std=0.05, generator=gen)
            elif p.dim() == 1 and name.endswith("bias"):
                p.add_(0.05 * torch.randn(p.shape, generator=gen))
        norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        if norms and example is not None:
            module.eval()
            for m in norms:
                m.train()
                m.momentum = None
            for k in range(4):
                module(*example(shapes[k % len(shapes)], 50 + k // len(shapes)))
            for m in norms:
                # Channels that hardly vary would be blown up, and with them what two runtimes round differently.
                m.running_var.clamp_(min=0.1 * float(m.running_var.mean()))
    return module.eval()


def classify(name, make, *shapes, free=PIXELS):
    def build():
        torch.manual_seed(1)
        return lively(make(), images(*shapes))

    MODELS[name] = Case("classification", build, images(*shapes), free)


def family(name, *shapes, free=PIXELS, **options):
    """A model of torchvision by its name."""
    shapes = shapes or ((1, 3, 64, 64), (2, 3, 96, 80))
    classify(name, lambda: getattr(vision, name)(weights=None, num_classes=10, **options), *shapes, free=free)


def narrow(name, *shapes):
    """A model whose first linear layers are wide: they are replaced by narrow ones."""

    def make():
        model = getattr(vision, name)(weights=None, num_classes=10)
        linear = [i for i, m in enumerate(model.classifier) if isinstance(m, nn.Linear)]
        widths = [model.classifier[linear[0]].in_features, 64, 64, 10]
        for i, (a, b) in zip(linear, zip(widths, widths[1:])):
            model.classifier[i] = nn.Linear(a, b)
        return model

    classify(name, make, *shapes)


for plain in ["convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "mnasnet0_5", "mobilenet_v2"]:
    family(plain)
for plain in ["mobilenet_v3_small", "mobilenet_v3_large", "regnet_x_400mf", "regnet_y_400mf", "resnet18", "resnet50"]:
    family(plain)
for plain in ["resnext50_32x4d", "wide_resnet50_2", "shufflenet_v2_x0_5", "squeezenet1_0", "squeezenet1_1"]:
    family(plain)
family("googlenet", (1, 3, 96, 96), (2, 3, 128, 112), aux_logits=False, init_weights=False)
family("inception_v3", (1, 3, 96, 96), (2, 3, 128, 112), aux_logits=False, init_weights=False)
for wide in ["alexnet", "vgg11", "vgg11_bn"]:
    narrow(wide, (1, 3, 64, 64), (2, 3, 96, 80))
for windows in ["swin_t", "swin_v2_t"]:
    family(windows, (1, 3, 64, 64), (2, 3, 96, 64))
classify(
    "vit",
    lambda: vision.VisionTransformer(64, 16, 3, 4, 64, 128, num_classes=10),
    (1, 3, 64, 64),
    (3, 3, 64, 64),
    free=BATCH,
)
classify(
    "maxvit",
    lambda: vision.MaxVit((64, 64), 16, 4, [16, 32], [1, 2], 8, 0.1, num_classes=10),
    (1, 3, 64, 64),
    (3, 3, 64, 64),
    free=BATCH,
)


def segment(name, **options):
    shapes = (1, 3, 64, 64), (2, 3, 96, 80)

    def build():
        torch.manual_seed(1)
        make = getattr(vision.segmentation, name)
        return lively(make(weights=None, weights_backbone=None, num_classes=5, **options), images(*shapes))

    MODELS[name] = Case("segmentation", build, images(*shapes), PIXELS)


for dense in ["deeplabv3_mobilenet_v3_large", "deeplabv3_resnet50", "fcn_resnet50", "lraspp_mobilenet_v3_large"]:
    segment(dense)


class Detector(nn.Module):
    """A detector that takes one image and gives what it found as tensors."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, image):
        found = self.inner([image])
        # A scripted detector gives its losses too.
        found = found[1] if isinstance(found, tuple) else found
        return tuple(found[0][k] for k in sorted(found[0]))


# Layers whose results are scores and offsets of boxes, and how far their results are to lie apart.
SCORES = ("kps_score", "cls_logits", "cls_score", "classification_head.module_list", "bbox_ctrness", "mask_fcn_logits")
OFFSETS = ("bbox_pred", "bbox_reg", "regression_head.module_list")


def spread(model, batches):
    """Gives the last layers of a detector weights under which scores and boxes lie apart: neither all at 0 or 1, where
    their order is what float32 rounds off, nor all alike."""
    wanted = {}
    for name, m in model.named_modules():
        last = isinstance(m, (nn.Conv2d, nn.Linear, nn.ConvTranspose2d)) and not name.endswith(".0.0")
        if last and any(k in name for k in SCORES + OFFSETS):
            wanted[m] = 1.5 if any(k in name for k in SCORES) else 0.3
    seen = {}
    hooks = [m.register_forward_hook(lambda m, i, o: seen.setdefault(m, []).append(o.flatten())) for m in wanted]
    with torch.no_grad():
        for batch in batches:
            model(batch)
        for m, results in seen.items():
            by = wanted[m] / max(1e-3, *(float(r.std()) for r in results if r.numel() > 1))
            m.weight.mul_(by)
    for h in hooks:
        h.remove()
    return model


def detect(name, shapes=((3, 96, 128), (3, 192, 240)), more=(), **options):
    """A detector, on images that its first resize leaves, halves or doubles. Between other sizes PyTorch is 3e-5 from f64 and
    ONNX Runtime 4e-5 from PyTorch, which is enough to change the order of the nearly equal scores of random weights."""

    def build():
        torch.manual_seed(1)
        make = getattr(vision.detection, name)
        model = make(weights=None, weights_backbone=None, num_classes=4, **options)
        pair = lambda shape, seed: ([images(*shapes)(shape, seed + k)[0] for k in (0, 100)],)
        model = lively(model, pair, (1, 0))
        return spread(model, [pair(shape, 60)[0] for shape in (0, 1)])

    fields = tuple(sorted(("boxes", "labels", "scores", *more)))
    MODELS[name] = Case("detection", build, images(*shapes), ({1: "height", 2: "width"},), fields)


SIZES = {"min_size": 96, "max_size": 160}
detect("fasterrcnn_mobilenet_v3_large_fpn", box_score_thresh=0.02, rpn_post_nms_top_n_test=50, **SIZES)
detect("maskrcnn_resnet50_fpn", more=("masks",), box_score_thresh=0.2, rpn_post_nms_top_n_test=30, **SIZES)
KEYPOINTS = {"more": ("keypoints", "keypoints_scores"), "num_keypoints": 5}
detect("keypointrcnn_resnet50_fpn", box_score_thresh=0.2, rpn_post_nms_top_n_test=20, **KEYPOINTS, **SIZES)
detect("retinanet_resnet50_fpn", score_thresh=0.001, detections_per_img=30, **SIZES)
detect("fcos_resnet50_fpn", score_thresh=0.02, detections_per_img=30, **SIZES)
detect("ssdlite320_mobilenet_v3_large", ((3, 320, 320), (3, 160, 160)), score_thresh=0.25, detections_per_img=30)


TINY = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)


def language(name, model, config, call=None, inputs=None, free=WORDS * 2, attention="sdpa"):
    """A model of transformers with its configuration; `call` picks its tensors."""
    call = call or (lambda m, ids, mask: m(input_ids=ids, attention_mask=mask, return_dict=False, use_cache=False)[0])

    def build():
        torch.manual_seed(1)
        inner = model(config)
        with torch.no_grad():
            gen = torch.Generator().manual_seed(9)
            for p in inner.parameters():
                if p.dim() > 1:
                    p.copy_(0.2 * torch.randn(p.shape, generator=gen))
        return lively(Picked(inner, call), None)

    MODELS[name] = Case("transformers", build, inputs or tokens(90, (1, 8), (2, 13)), free)


def encoded(m, ids, mask):
    return m(input_ids=ids, attention_mask=mask, return_dict=False)[0]


for name, kind in {"bert": "Bert", "roberta": "Roberta", "electra": "Electra", "albert": "Albert"}.items():
    more = {"embedding_size": 16} if name in ("electra", "albert") else {}
    made = getattr(hf, f"{kind}Config")(vocab_size=99, max_position_embeddings=40, **more, **TINY)
    language(name, getattr(hf, f"{kind}Model"), made, encoded)
language(
    "distilbert",
    hf.DistilBertModel,
    hf.DistilBertConfig(vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=40),
    encoded,
)
language(
    "deberta_v2",
    hf.DebertaV2Model,
    hf.DebertaV2Config(vocab_size=99, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=8, **TINY),
    encoded,
)
language("gpt2", hf.GPT2LMHeadModel, hf.GPT2Config(vocab_size=99, n_embd=32, n_layer=2, n_head=4, n_positions=40))
language(
    "gpt_neo",
    hf.GPTNeoForCausalLM,
    hf.GPTNeoConfig(
        vocab_size=99, hidden_size=32, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]],
        max_position_embeddings=40, window_size=4, intermediate_size=48,
    ),
)  # fmt: skip
language(
    "opt",
    hf.OPTForCausalLM,
    hf.OPTConfig(
        vocab_size=99, hidden_size=32, word_embed_proj_dim=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=48,
        max_position_embeddings=40,
    ),
)  # fmt: skip
language("bloom", hf.BloomForCausalLM, hf.BloomConfig(vocab_size=99, hidden_size=32, n_layer=2, n_head=4))
for name, kind in {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "gemma": "Gemma", "phi3": "Phi3"}.items():
    made = {"num_key_value_heads": 2, "pad_token_id": 0, **({"head_dim": 8} if name == "gemma" else {}), **TINY}
    language(name, getattr(hf, f"{kind}ForCausalLM"), getattr(hf, f"{kind}Config")(vocab_size=99, **made))
language(
    "falcon",
    hf.FalconForCausalLM,
    hf.FalconConfig(vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4),
)
language("gpt_neox", hf.GPTNeoXForCausalLM, hf.GPTNeoXConfig(vocab_size=99, max_position_embeddings=40, **TINY))


def translated(m, ids, mask):
    return m(input_ids=ids, attention_mask=mask, decoder_input_ids=ids, use_cache=False, return_dict=False)[0]


language(
    "t5",
    hf.T5ForConditionalGeneration,
    hf.T5Config(vocab_size=99, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4),
    translated,
)
BART = dict(
    vocab_size=99, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
    encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=40, pad_token_id=1,
)  # fmt: skip
language("bart", hf.BartForConditionalGeneration, hf.BartConfig(**BART), translated)
language(
    "marian",
    hf.MarianMTModel,
    hf.MarianConfig(decoder_start_token_id=1, **BART),
    translated,
)


def spectrum(frames):
    return lambda shape, seed: (torch.randn((1 + shape, 8, frames), generator=generator(shape, seed)),)


WHISPER = {k: v for k, v in BART.items() if k != "max_position_embeddings"}
language(
    "whisper",
    hf.WhisperForConditionalGeneration,
    hf.WhisperConfig(
        num_mel_bins=8, max_source_positions=20, max_target_positions=20, decoder_start_token_id=1, **WHISPER
    ),
    lambda m, mel: m(
        input_features=mel, decoder_input_ids=torch.full((mel.shape[0], 4), 5), use_cache=False, return_dict=False
    )[0],
    spectrum(40),
    free=BATCH,
)
language(
    "wav2vec2",
    hf.Wav2Vec2Model,
    hf.Wav2Vec2Config(
        conv_dim=(16, 16), conv_kernel=(8, 4), conv_stride=(4, 2), num_feat_extract_layers=2,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, **TINY,
    ),
    lambda m, wave: m(wave, return_dict=False)[0],
    lambda shape, seed: (torch.randn((1 + shape, 160 + 64 * shape), generator=generator(shape, seed)),),
    free=({0: "batch", 1: "samples"},),
)  # fmt: skip
language(
    "vit_hf",
    hf.ViTModel,
    hf.ViTConfig(image_size=32, patch_size=8, **TINY),
    lambda m, x: m(x, return_dict=False)[0],
    images((1, 3, 32, 32), (3, 3, 32, 32)),
    free=BATCH,
)
language(
    "clip",
    hf.CLIPModel,
    hf.CLIPConfig(
        text_config=dict(vocab_size=99, max_position_embeddings=40, eos_token_id=2, **TINY),
        vision_config=dict(image_size=32, patch_size=8, **TINY), projection_dim=16,
    ),
    lambda m, ids, x: m(input_ids=ids, pixel_values=x, return_dict=False)[0],
    lambda shape, seed: (
        torch.randint(3, 90, (2, 7 + shape), generator=generator(shape, seed)),
        torch.randn((1 + 2 * shape, 3, 32, 32), generator=generator(shape, seed + 7)),
    ),
    free=({0: "texts", 1: "words"}, {0: "images"}),
)  # fmt: skip


def sound(name, make):
    """A model of waves."""

    def build():
        torch.manual_seed(1)
        return make().eval()

    def waves(shape, seed):
        return (torch.randn((1 + shape, 1600 + 640 * shape), generator=generator(shape, seed)),)

    MODELS[name] = Case("audio", build, waves, ({0: "batch", 1: "samples"},))


for name, make in torch_sound.MODELS.items():
    sound(name, make)

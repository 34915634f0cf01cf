"""Train a small convolutional network on scikit-learn's digits and export it in every form that this folder holds.

    pip install numpy scikit-learn torch onnx
    python train.py

Everything is seeded. The folder is rewritten in place; the accuracy on held-out images is printed.
"""

import pathlib

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = pathlib.Path(__file__).parent
SEED = 7


class Digits(nn.Module):
    """8 x 8 grey images, one channel, values 0 to 1; logits of the ten digits."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1, groups=32),
            nn.Conv2d(32, 64, 1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )
        self.hidden = nn.Linear(64, 48)
        self.logits = nn.Linear(48, 10)

    def forward(self, image):
        pooled = torch.flatten(self.features(image), 1)
        return self.logits(torch.relu(self.hidden(pooled)))


def train(model, images, labels, epochs=60):
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)
    steps = epochs * (len(images) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=steps)
    order = torch.Generator().manual_seed(SEED)
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(images), generator=order)[: len(images) // 64 * 64].split(64):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()


def export(model, example):
    torch.onnx.export(
        model,
        (example,),
        HERE / "digits.onnx",
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=17,
        do_constant_folding=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        dynamo=False,
    )
    onnx.checker.check_model(onnx.load(HERE / "digits.onnx"), full_check=True)
    torch.jit.script(model).save(HERE / "digits.torchscript.pt")
    drop_debug_records(HERE / "digits.torchscript.pt")
    torch.save(model.state_dict(), HERE / "digits.state_dict.pt")


def drop_debug_records(path):
    """Write the archive again without the records that hold source paths of the machine that made it."""
    reader = torch._C.PyTorchFileReader(str(path))
    names = [n for n in reader.get_all_records() if not n.endswith(".debug_pkl")]
    records = {n: reader.get_record(n) for n in names if n not in ("version", ".data/serialization_id")}
    writer = torch._C.PyTorchFileWriter(str(path))
    for name, content in records.items():
        writer.write_record(name, content, len(content))
    writer.write_end_of_file()


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)[:, None]
    fit_x, held_x, fit_y, held_y = train_test_split(
        images, digits.target, test_size=0.2, random_state=SEED, stratify=digits.target
    )
    model = Digits()
    train(model, torch.from_numpy(fit_x), torch.from_numpy(fit_y))
    with torch.no_grad():
        found = model(torch.from_numpy(held_x)).argmax(1).numpy()
    export(model, torch.from_numpy(held_x[:4]))
    np.save(HERE / "inputs.npy", held_x)
    np.save(HERE / "labels.npy", held_y.astype(np.int64))
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters; {(found == held_y).mean():.4f} of {len(held_y)} held-out images are right")


if __name__ == "__main__":
    main()

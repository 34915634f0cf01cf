"""Front ends of sound for torch_sweep.py: spectra, banks of mel filters, masks on complex spectra, recurrent layers."""

import math

import torch
from torch import nn


def mel_bank(bins, bands, rate=16000.0):
    """Triangles that lie evenly on the mel scale: `bins` by `bands`."""
    mel = lambda hertz: 2595.0 * math.log10(1.0 + hertz / 700.0)
    edges = torch.linspace(mel(20.0), mel(rate / 2), bands + 2)
    edges = 700.0 * (10.0 ** (edges / 2595.0) - 1.0)
    steps = torch.linspace(0.0, rate / 2, bins)[:, None]
    rising = (steps - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - steps) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0.0)


class LogMel(nn.Module):
    """Waves to the logarithm of the power in mel bands: batch by bands by frames."""

    def __init__(self, size=400, hop=160, bands=20):
        super().__init__()
        self.size, self.hop = size, hop
        self.register_buffer("window", torch.hann_window(size))
        self.register_buffer("bank", mel_bank(size // 2 + 1, bands))

    def forward(self, wave):
        spectrum = torch.stft(
            wave, self.size, self.hop, self.size, self.window, center=True, pad_mode="reflect", return_complex=True
        )
        power = spectrum.abs().pow(2.0)
        return torch.log(torch.matmul(power.transpose(1, 2), self.bank).clamp(min=1e-6)).transpose(1, 2)


class Listener(nn.Module):
    """A front end, convolutions over frames, an LSTM and a GRU."""

    def __init__(self):
        super().__init__()
        self.front = LogMel(200, 80, 16)
        self.conv = nn.Conv1d(16, 24, 3, padding=1)
        self.lstm = nn.LSTM(24, 16, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(32, 12, batch_first=True)
        self.head = nn.Linear(12, 7)

    def forward(self, wave):
        x = torch.relu(self.conv(self.front(wave))).transpose(1, 2)
        x, _ = self.lstm(x)
        x, _ = self.gru(x)
        return torch.log_softmax(self.head(x), dim=-1)


class Denoiser(nn.Module):
    """A mask of magnitudes on a complex spectrum, and back to a wave."""

    def __init__(self, size=128, hop=32):
        super().__init__()
        self.size, self.hop = size, hop
        self.register_buffer("window", torch.hann_window(size))
        self.mask = nn.Conv1d(size // 2 + 1, size // 2 + 1, 3, padding=1)

    def forward(self, wave):
        spectrum = torch.stft(wave, self.size, self.hop, window=self.window, return_complex=True)
        mask = torch.sigmoid(self.mask(torch.log1p(spectrum.abs())))
        return torch.istft(spectrum * mask, self.size, self.hop, window=self.window, length=wave.shape[-1])


class Halves(nn.Module):
    """A spectrum as real pairs, as version 0.x of many front ends takes it."""

    def forward(self, wave):
        spectrum = torch.view_as_real(torch.stft(wave, 64, 16, window=torch.hamming_window(64), return_complex=True))
        return torch.sqrt(spectrum.pow(2).sum(-1) + 1e-6), spectrum[..., 0]


MODELS = {"log_mel": LogMel, "listener": Listener, "denoiser": Denoiser, "real_pairs": Halves}

"""Small networks and minibatches for the tests of the torch room."""

import torch
from torch import nn
from torch.nn import functional as F

N = 12  # samples of a minibatch to measure on


def images(n=3, channels=1, size=6):
    return torch.randn(n, channels, size, size)


def small(inplace=False):
    """0 conv, 1 relu, 2 conv, 3 batch norm, 4 relu, 5 flatten, 6 linear, 7 relu, 8 linear."""
    return nn.Sequential(
        nn.Conv2d(1, 2, 3),
        nn.ReLU(inplace=inplace),
        nn.Conv2d(2, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(inplace=inplace),
        nn.Flatten(),
        nn.Linear(12, 4),
        nn.ReLU(inplace=inplace),
        nn.Linear(4, 2),
    )


def hooks(model):
    """How many hooks of any kind hang on the model."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)


class Functional(nn.Module):
    """One convolution, and then what `after` does to its output."""

    def __init__(self, after, **modules):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.after = after
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.after(self, self.conv(x))


class Net(nn.Module):
    """Two convolutions, one behind a batch norm, and two linear layers."""

    def __init__(self, classes=3):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, 3)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(3, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.fc1 = nn.Linear(8, 4)
        self.drop = nn.Dropout(0.5)
        self.fc2 = nn.Linear(4, classes)

    def stages(self, x):
        """What the layers put out, by hand: no hooks, nothing in place."""
        first = F.relu(self.conv1(x))
        normed = F.batch_norm(
            self.conv2(first), self.norm.running_mean, self.norm.running_var, self.norm.weight, self.norm.bias
        )
        second = F.relu(normed)
        third = torch.tanh(self.fc1(second.flatten(1)))
        return {"conv1": first, "conv2": second, "fc1": third, "fc2": self.fc2(third)}

    def forward(self, x):
        x = self.relu(self.norm(self.conv2(self.relu(self.conv1(x)))))
        return self.fc2(self.drop(torch.tanh(self.fc1(x.flatten(1)))))


def net(dtype=torch.float64, **options):
    model = Net(**options).to(dtype)
    with torch.no_grad():  # as after some training: statistics that are not those of a fresh layer
        model.norm.running_mean.copy_(torch.tensor([0.1, -0.2]))
        model.norm.running_var.copy_(torch.tensor([0.5, 2.0]))
    return model


def net_like(model):
    other = net()
    other.load_state_dict(model.state_dict())
    return other


def probes(count=2, dtype=torch.float64, n=N):
    return [(torch.randn(n, 1, 6, 6, dtype=dtype), torch.randint(3, (n,))) for _ in range(count)]


def samples_of(output):
    return output.detach().double().flatten(1).numpy()

"""1998: convolution reads better with less.

    python milestones/04_cnn.py [--seed N] [--output FOLDER] [--json] [--cifar10 FOLDER]

A stroke is a stroke wherever it stands, yet a layer of milestone 3 has to learn it anew at every place. Yann LeCun, Léon Bottou, Yoshua
Bengio and Patrick Haffner let one small window of weights slide over the image: LeNet-5 read the amounts on millions of cheques a day.

The same scans as before, the same ones held out, and a network of modules 01 to 09.
"""

import runpy
import sys
from pathlib import Path

from common import Refused, milestone
from drawing import reading
from handwriting import Unsteady, scans, split

import tinytorch as tt

EPOCHS, BATCH, LR, DECAY = 60, 32, 0.05, 1e-3
PHOTOGRAPHS, ROUNDS = 5000, 4               # of CIFAR-10: enough to see it learn, in half a minute
MLP = Path(__file__).with_name("03_mlp.py")     # whose network is to be beaten with fewer parameters


def network(channels=1, size=8, width=12):
    """Three convolutions, and two pools that halve the image: (N, channels, size, size) -> (N, 10)."""
    def convolution(inputs, outputs):
        return tt.Conv2d(inputs, outputs, 3, padding=1, bias=False), tt.BatchNorm2d(outputs), tt.ReLU()

    return tt.Sequential(
        *convolution(channels, width), *convolution(width, 2 * width), tt.MaxPool2d(2),
        *convolution(2 * width, 2 * width), tt.MaxPool2d(2),
        tt.Flatten(), tt.Dropout(0.2), tt.Linear(2 * width * (size // 4) ** 2, 10))


def learn(model, loader, epochs, stop=()):
    """Train on a loader's images (N, C, H, W): the mean loss of each epoch, and the trainer."""
    optimizer = tt.SGD(model.parameters(), lr=LR, momentum=0.9, weight_decay=DECAY)
    trainer = tt.Trainer(model, optimizer, tt.CrossEntropyLoss(), scheduler=tt.CosineSchedule(LR, 0.0, epochs))
    return trainer.fit(loader, epochs, callbacks=stop)["train_loss"], trainer


def main(run):
    images, labels = scans()
    chosen, asked = split(run, labels)
    model = run.network(network())
    before = sum(p.size for p in runpy.run_path(str(MLP))["network"]().parameters())
    run.fact("", f"(milestone 3 has {before:,})")
    data = tt.TensorDataset(images[chosen, None], labels[chosen])
    with run.timed():
        losses, _ = learn(model, Unsteady(tt.DataLoader(data, batch_size=BATCH, shuffle=True)), EPOCHS, [run.hopeless])
    model.eval()
    with tt.no_grad():
        logits = model(tt.Tensor(images[asked, None])).numpy()          # (N, 10)
    right, picture = reading(run, images[asked], labels[asked], logits, losses)
    cifar10(run)
    run.bar(f"accuracy on {run.asked}", right, "at least", 0.985)
    run.bar("parameters", run.result["parameters"], "under", before, "")
    run.bar("training", run.seconds, "under", 60.0, "s")
    return run.finish(losses, "03 to 09", picture)


def cifar10(run):
    """The same kind of network on colour photographs of 32 x 32, where they are: nothing is downloaded here, and there is no bar."""
    [name] = tt.CIFAR10
    folder = Path(run.options.cifar10 or tt.datasets_folder() / "cifar10")
    if not (folder / name).is_file():
        if run.options.cifar10:
            raise Refused(f"{folder} has no {name}", "tt.download_cifar10(folder) brings it")
        run.say("CIFAR-10 is left out: it is not in datasets/cifar10, and tt.download_cifar10() would fetch 170 MB.")
        return
    train, test = tt.download_cifar10(folder)
    some = tt.Subset(train, range(min(PHOTOGRAPHS, len(train))))
    _, trainer = learn(network(3, 32), tt.DataLoader(some, batch_size=64, shuffle=True), ROUNDS)
    _, accuracy = trainer.evaluate(tt.DataLoader(test, batch_size=256))
    run.say(f"CIFAR-10: {len(some):,} photographs seen {ROUNDS} times, {accuracy:.1%} of {len(test):,} others recognised (chance: 10 %).")


if __name__ == "__main__":
    sys.exit(milestone(main, cifar10="CIFAR-10's archive, for a look at photographs (default: datasets/cifar10)"))

"""1986: a hidden layer reads ten digits.

    python milestones/03_mlp.py [--seed N] [--output FOLDER] [--json]

"Learning representations by back-propagating errors" filled four pages of Nature. David Rumelhart, Geoffrey Hinton and Ronald Williams
showed that the chain rule, applied backwards through a network, gives every weight its share of the blame. A hidden layer then
finds by itself what is worth looking for.

Here it reads all ten digits, with what modules 01 to 08 have built: loader, optimizer, schedule and trainer.
"""

import sys

from common import milestone
from drawing import reading
from handwriting import Unsteady, scans, split

import tinytorch as tt

HIDDEN, EPOCHS, BATCH, LR = 128, 60, 32, 0.1


def network():
    return tt.Sequential(tt.Flatten(), tt.Linear(64, HIDDEN), tt.ReLU(), tt.Linear(HIDDEN, 10))


def learn(model, images, labels, stop):
    """Train on scans (N, 1, 8, 8); the mean loss of each epoch."""
    loader = Unsteady(tt.DataLoader(tt.TensorDataset(images, labels), batch_size=BATCH, shuffle=True))
    optimizer = tt.SGD(model.parameters(), lr=LR, momentum=0.9)
    trainer = tt.Trainer(model, optimizer, tt.CrossEntropyLoss(), scheduler=tt.CosineSchedule(LR, 0.0, EPOCHS))
    return trainer.fit(loader, EPOCHS, callbacks=[stop])["train_loss"]


def main(run):
    images, labels = scans()
    chosen, asked = split(run, labels)
    model = run.network(network())
    with run.timed():
        losses = learn(model, images[chosen, None], labels[chosen], run.hopeless)
    model.eval()
    with tt.no_grad():
        logits = model(tt.Tensor(images[asked, None])).numpy()          # (N, 10)
    right, picture = reading(run, images[asked], labels[asked], logits, losses)
    run.bar(f"accuracy on {run.asked}", right, "at least", 0.97)
    run.bar("training", run.seconds, "under", 10.0, "s")
    return run.finish(losses, "03 to 08", picture)


if __name__ == "__main__":
    sys.exit(milestone(main))

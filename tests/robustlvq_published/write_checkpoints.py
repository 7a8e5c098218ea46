"""Have TensorFlow train, save and evaluate the network of the MNIST challenge; then import it.

Run with an interpreter that has TensorFlow: ``python write_checkpoints.py FOLDER``, with
``ROBUSTLVQ_HOME`` set. FOLDER gets the checkpoints, and ``logits.npz`` with inputs and scores.
"""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import tensorflow

tf = tensorflow.compat.v1
tf.disable_eager_execution()


def variable(shape):
    return tf.Variable(tf.random.normal(shape, stddev=0.1))


def network(images):
    for shape in ([5, 5, 1, 32], [5, 5, 32, 64]):
        kernel, bias = variable(shape), variable(shape[-1:])
        images = tf.nn.relu(tf.nn.conv2d(images, kernel, [1, 1, 1, 1], "SAME") + bias)
        images = tf.nn.max_pool2d(images, 2, 2, "SAME")
    features = tf.reshape(images, [-1, 7 * 7 * 64])
    kernel, bias = variable([7 * 7 * 64, 1024]), variable([1024])
    hidden = tf.nn.relu(tf.matmul(features, kernel) + bias)
    kernel, bias = variable([1024, 10]), variable([10])
    return tf.matmul(hidden, kernel) + bias


def write(folder, x, seed, version):
    """Train two steps, so that the slots of the optimiser are not zero, and save after each."""
    labels = np.arange(len(x)) % 10
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(seed)
        images = tf.placeholder(tf.float32, [None, 28, 28, 1])
        logits = network(images)
        step = tf.train.get_or_create_global_step()
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        train = tf.train.AdamOptimizer(1e-4).minimize(tf.reduce_sum(loss), global_step=step)
        session.run(tf.global_variables_initializer())
        saver = tf.train.Saver(write_version=version)
        for _ in range(2):
            session.run(train, {images: x})
            saver.save(session, str(folder / "checkpoint"), global_step=step)
        return session.run(logits, {images: x})


def main(folder):
    x = np.random.default_rng(0).random((40, 28, 28, 1), dtype=np.float32)
    scores = {}
    for seed, (name, place, version) in enumerate(
        [
            ("madry", "models/adv_trained", tf.train.SaverDef.V2),
            ("madry-natural", "models/natural", tf.train.SaverDef.V2),
            ("madry-secret", "old/secret", tf.train.SaverDef.V1),
        ]
    ):
        (folder / place).mkdir(parents=True)
        scores[name] = write(folder / place, x, seed, version)
    np.savez(folder / "logits.npz", x=x, **scores)

    from robustlvq.core.imported import import_weights
    from robustlvq.core.registry import Registry

    points = [
        EntryPoint(name, f"robustlvq_{name}.hooks", "robustlvq") for name in ("nn", "published")
    ]
    registry = Registry.discover(points)
    for path in ("models", "old/secret"):
        for one in import_weights("published", folder / path, registry):
            print(one.reference, one.source.relative_to(folder), one.error)
    cut = folder / "models" / "natural" / "checkpoint-2.data-00000-of-00001"
    cut.write_bytes(cut.read_bytes()[:-1000])
    for one in import_weights("published", cut, registry, again=True):
        print(one.reference, one.source.relative_to(folder), one.error)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

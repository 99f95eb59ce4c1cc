"""Write detectors as TensorFlow's Object Detection API exports them, and what TensorFlow makes of imagery.

A program, not a test: ``python reference_detectors.py FOLDER`` in an environment with tensorflow. Networks
are small and untrained; what is around them is what that library's exporter puts there: a loop over the
pictures that resizes them, decoded anchors, suppression by class in a loop over the pictures, lists filled up
to one length. Beside each model ``name.*`` it writes ``name.npz``: ``x`` as the model takes it, and its
outputs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

RANDOM = np.random.default_rng(5)

CLASSES, SIDE, GRID, MOST = 3, 64, 8, 80

#: What the exporter calls outputs.
NAMES = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")


def weights(*shape):
    return tf.constant(RANDOM.normal(scale=(2 / np.prod(shape[:-1])) ** 0.5, size=shape).astype(np.float32))


def imagery(count, height=80, width=100):
    """Pictures with something to see: squares of one colour on noise."""
    pictures = RANDOM.integers(0, 80, (count, height, width, 3)).astype(np.uint8)
    for picture in pictures:
        for _ in range(6):
            y, x = RANDOM.integers(0, height - 20), RANDOM.integers(0, width - 20)
            picture[y : y + 16, x : x + 16] = RANDOM.integers(100, 256, 3)
    return pictures


class SmallDetector:
    """A network of one grid, with one anchor a cell."""

    def __init__(self, masks):
        self.stem = weights(3, 3, 3, 16), weights(3, 3, 16, 24), weights(3, 3, 24, 32)
        self.box_head, self.class_head = weights(1, 1, 32, 4), weights(1, 1, 32, CLASSES + 1)
        self.mask_head = 3 * weights(3, 3, 32, 1) if masks else None
        cells = (np.mgrid[:GRID, :GRID].reshape(2, -1).T + 0.5) / GRID
        self.anchors = tf.constant(np.hstack([cells, np.full_like(cells, 0.2)]).astype(np.float32))

    def __call__(self, pictures):
        """The outputs by name."""
        prepared = tf.map_fn(self._prepared, tf.cast(pictures, tf.float32))
        prepared = tf.ensure_shape(prepared, [None, SIDE, SIDE, 3])
        features = prepared
        for kernel in self.stem:
            features = tf.nn.relu6(tf.nn.conv2d(features, kernel, 2, "SAME"))
        boxes = self._decoded(tf.reshape(tf.nn.conv2d(features, self.box_head, 1, "SAME"), [-1, GRID**2, 4]))
        logits = tf.nn.conv2d(features, self.class_head, 1, "SAME")
        # Untrained scores would be all alike: some objects of each picture shall be surer than others.
        mean, variance = tf.nn.moments(logits, [1, 2], keepdims=True)
        logits = 1.5 * (logits - mean) / tf.sqrt(variance + 1e-6)
        scores = tf.sigmoid(tf.reshape(logits, [-1, GRID**2, CLASSES + 1]))[..., 1:]
        found = tf.map_fn(self._suppressed, (boxes, scores), fn_output_signature=(tf.float32,) * 4)
        outputs = dict(zip(NAMES, found))
        if self.mask_head is not None:
            outputs["detection_masks"] = self._masks(features, found[0])
        return outputs

    def _prepared(self, picture):
        return tf.image.resize(picture, [SIDE, SIDE]) * (2 / 255) - 1

    def _decoded(self, codes):
        ty, tx, th, tw = (codes[..., i] for i in range(4))
        y, x, h, w = (self.anchors[:, i] for i in range(4))
        centre_y, centre_x = ty / 10 * h + y, tx / 10 * w + x
        half_h, half_w = tf.exp(th / 5) * h / 2, tf.exp(tw / 5) * w / 2
        corners = (centre_y - half_h, centre_x - half_w, centre_y + half_h, centre_x + half_w)
        return tf.stack(corners, axis=-1)

    def _suppressed(self, args):
        """The objects of one picture, the surest first, filled up with zeros."""
        boxes, scores = args
        parts = []
        for number in range(CLASSES):
            own = scores[:, number]
            kept = tf.image.non_max_suppression(boxes, own, MOST, 0.4, 0.7)
            own = tf.gather(own, kept)
            parts.append((tf.gather(boxes, kept), own, tf.fill(tf.shape(own), float(number + 1))))
        boxes, scores, classes = (tf.concat(column, axis=0) for column in zip(*parts))
        boxes = tf.clip_by_value(boxes, 0.0, 1.0)
        count = tf.minimum(tf.shape(scores)[0], MOST)
        scores, order = tf.math.top_k(scores, count)
        boxes, classes = tf.gather(boxes, order), tf.gather(classes, order)
        room = MOST - count
        return (
            tf.ensure_shape(tf.pad(boxes, [[0, room], [0, 0]]), [MOST, 4]),
            tf.ensure_shape(tf.pad(scores, [[0, room]]), [MOST]),
            tf.ensure_shape(tf.pad(classes, [[0, room]]), [MOST]),
            tf.cast(count, tf.float32),
        )

    def _masks(self, features, boxes):
        """A mask for each box, in its own frame."""
        pictures = tf.repeat(tf.range(tf.shape(boxes)[0]), MOST)
        crops = tf.image.crop_and_resize(features, tf.reshape(boxes, [-1, 4]), pictures, [9, 9])
        maps = tf.sigmoid(tf.nn.conv2d(crops, self.mask_head, 1, "SAME"))
        return tf.reshape(tf.image.resize(maps, [15, 15]), [-1, MOST, 15, 15])


def note(folder, name, x, outputs):
    np.savez(folder / f"{name}.npz", x=x, **{key: np.asarray(value) for key, value in outputs.items()})


def write_frozen(folder, name, masks=False, batch=None):
    """A frozen graph of the first generation: its loops are made of Enter, Switch and NextIteration."""
    v1.disable_control_flow_v2()
    x = imagery(3 if batch is None else batch)
    with tf.Graph().as_default() as graph:
        image = v1.placeholder(tf.uint8, [batch, None, None, 3], "image_tensor")
        outputs = SmallDetector(masks)(image)
        named = {key: tf.identity(value, name=key) for key, value in outputs.items()}
        with v1.Session(graph=graph) as session:
            note(folder, name, x, session.run(named, {image: x}))
        (folder / f"{name}.pb").write_bytes(graph.as_graph_def().SerializeToString())
    v1.enable_control_flow_v2()


def write_saved(folder, name, masks=False):
    """A SavedModel of the second generation: one picture at a time, loops as functions, more outputs."""

    class Exported(tf.Module):
        def __init__(self):
            super().__init__()
            self.network = SmallDetector(masks)

        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
        def serving(self, input_tensor):
            outputs = self.network(input_tensor)
            raw = tf.concat([outputs["detection_scores"][..., None]] * (CLASSES + 1), axis=-1)
            return {**outputs, "detection_multiclass_scores": raw}

    module = Exported()
    tf.saved_model.save(module, str(folder / name), signatures=module.serving)
    x = imagery(3)
    parts = [module.serving(tf.constant(picture[None])) for picture in x]
    note(folder, name, x, {key: np.concatenate([part[key] for part in parts]) for key in parts[0]})


def write_combined(folder, name):
    """A graph with an operation that suppresses the classes of all pictures at once."""
    with tf.Graph().as_default() as graph:
        image = v1.placeholder(tf.uint8, [1, None, None, 3], "image_tensor")
        mean = tf.reduce_mean(tf.cast(image, tf.float32))
        boxes, scores = tf.random.uniform([1, 20, 1, 4]) + mean, tf.random.uniform([1, 20, CLASSES]) + mean
        found = tf.image.combined_non_max_suppression(boxes, scores, 10, MOST)
        for key, value in zip(NAMES, found):
            tf.identity(value, name=key)
        (folder / f"{name}.pb").write_bytes(graph.as_graph_def().SerializeToString())


def write_encoded(folder, name):
    """A graph that takes files in place of pixels."""
    with tf.Graph().as_default() as graph:
        files = v1.placeholder(tf.string, [None], "encoded_image_string_tensor")
        pixels = tf.map_fn(lambda one: tf.io.decode_image(one, 3), files, fn_output_signature=tf.uint8)
        boxes = tf.reduce_mean(tf.cast(pixels, tf.float32), axis=[1, 2])
        for key in NAMES:
            tf.identity(boxes, name=key)
        (folder / f"{name}.pb").write_bytes(graph.as_graph_def().SerializeToString())


def write_yolo(folder, name):
    """A SavedModel that gives the table of a YOLO without objectness, positions as shares of the tile."""
    cells = sum((SIDE // stride) ** 2 for stride in (8, 16, 32))
    table = RANDOM.uniform(0.05, 0.95, (4 + CLASSES, cells)).astype(np.float32)

    class Exported(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32, "images")])
        def serving(self, images):
            return {"output_0": table[None] * (0.5 + tf.reduce_mean(images) / 2)}

    module = Exported()
    tf.saved_model.save(module, str(folder / name), signatures=module.serving)
    x = imagery(2, SIDE, SIDE)
    parts = [module.serving(tf.constant(picture[None] / 255, tf.float32))["output_0"] for picture in x]
    note(folder, name, x, {"table": np.concatenate(parts)})


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_frozen(target, "frozen")
    write_frozen(target, "frozen_masks", masks=True)
    write_saved(target, "saved")
    write_saved(target, "saved_masks", masks=True)
    write_combined(target, "combined")
    write_encoded(target, "encoded")
    write_yolo(target, "yolo")

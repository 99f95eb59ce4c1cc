"""Write models with the frameworks they come from, and what those frameworks make of some imagery.

A program, not a test: ``python reference_models.py FOLDER`` in an environment with tensorflow, tf-keras
and keras. Beside each model ``name.*`` it writes ``name.npz``: ``x`` as the model takes it, ``y`` as its
framework gives it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

RANDOM = np.random.default_rng(20)


def unet(keras, size, classes, scale_down, activation="softmax", bands=3):
    """A U-Net of two levels with everything the usual ones have."""
    layers = keras.layers
    x = inputs = layers.Input((*size, bands), name="image")
    x = scale_down(x)
    skips = []
    for filters in (8, 16):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.Dropout(0.2)(x)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = layers.SeparableConv2D(24, 3, padding="same")(x)
    x = layers.LeakyReLU()(x)
    x = layers.SpatialDropout2D(0.1)(x)
    for filters in (16, 8):
        x = layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
        x = layers.concatenate([x, skips.pop()])
        x = layers.DepthwiseConv2D(3, padding="same")(x)
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    outputs = layers.Conv2D(classes, 1, activation=activation, name="classes")(x)
    model = keras.Model(inputs, outputs)
    # As if trained: batch normalisation that only passes values on would hide that it is forgotten.
    model.set_weights(
        [w + RANDOM.uniform(0.05, 0.3, w.shape).astype(w.dtype) * (w.ndim == 1) for w in model.get_weights()]
    )
    return model


def imagery(bands=3, size=(64, 64), count=3):
    return RANDOM.integers(0, 256, (count, *size, bands)).astype(np.float32)


def note(folder, name, x, y):
    np.savez(folder / f"{name}.npz", x=x, y=np.asarray(y))


def write_keras(folder):
    import keras as keras3
    import tf_keras as keras2

    for keras, era, endings in ((keras2, 2, ("h5", "keras")), (keras3, 3, ("h5", "keras"))):

        def divide(x):
            return x / 255.0

        def rescale(x, keras=keras):
            return keras.layers.Rescaling(1 / 255.0)(x)

        model = unet(keras, (None, None), 6, divide if era == 2 else rescale)
        model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
        x = imagery()
        for ending in endings:
            model.save(folder / f"unet_keras{era}.{ending}")
            os.rename(folder / f"unet_keras{era}.{ending}", folder / f"unet_keras{era}_{ending}.{ending}")
            note(folder, f"unet_keras{era}_{ending}", x, model.predict(x, verbose=0))
        if era == 2:
            model.save_weights(folder / "weights_only.h5")

        binary = unet(keras, (64, 96), 1, rescale, "sigmoid", bands=4)
        binary.save(folder / f"binary_keras{era}.h5")
        x = imagery(4, (64, 96))
        note(folder, f"binary_keras{era}", x, binary.predict(x, verbose=0))

        logits = unet(keras, (None, None), 4, rescale, None)
        logits.save(folder / f"logits_keras{era}.h5")
        x = imagery()
        note(folder, f"logits_keras{era}", x, logits.predict(x, verbose=0))

        with_code = unet(keras, (64, 64), 3, lambda x, keras=keras: keras.layers.Lambda(lambda s: s / 255)(x))
        with_code.save(folder / f"lambda_keras{era}.h5")
        with_code.save(folder / f"lambda_keras{era}.keras")
        x = imagery()
        note(folder, f"lambda_keras{era}", x, with_code.predict(x, verbose=0))

    _several_layers(keras2, folder)


def _several_layers(keras, folder):
    """Keras 2 layers whose configuration Keras 3 spells otherwise, and TensorFlow's own operations."""
    import tensorflow as tf

    layers = keras.layers
    inputs = layers.Input((None, None, 3), name="image")
    x = tf.cast(inputs, tf.float32)
    x = (x - 127.5) * (1 / 127.5)
    scaled = x = 0.5 - (x + 0.25)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(8, 3, dilation_rate=1)(x)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.GaussianNoise(0.1)(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.ReLU(max_value=6.0)(x)
    x = tf.nn.relu(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    y = layers.Conv2D(8, 1)(scaled)
    x = layers.Add()([x, y])
    x = layers.Multiply()([x, layers.Conv2D(8, 1, activation="sigmoid")(x)])
    x = layers.Conv2D(5, 1)(x)
    x = layers.Softmax()(x)
    model = keras.Model(inputs, x)
    model.save(folder / "operations_keras2.h5")
    data = imagery()
    note(folder, "operations_keras2", data, model.predict(data, verbose=0))


def write_tensorflow(folder):
    import tensorflow as tf
    import tf_keras as keras
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def freeze(model, name, shape):
        function = tf.function(model).get_concrete_function(tf.TensorSpec(shape, tf.float32, "image"))
        frozen = convert_variables_to_constants_v2(function)
        tf.io.write_graph(frozen.graph, str(folder), f"{name}.pb", as_text=False)

    def rescale(x):
        return keras.layers.Rescaling(1 / 255.0)(x)

    model = unet(keras, (64, 64), 6, rescale)
    x = imagery()
    y = model.predict(x, verbose=0)
    freeze(model, "frozen", [None, 64, 64, 3])
    note(folder, "frozen", x, y)
    freeze(model, "frozen_batch_of_two", [2, 64, 64, 3])
    note(folder, "frozen_batch_of_two", x, y)
    model.export(folder / "saved")
    note(folder, "saved", x, y)

    free = unet(keras, (None, None), 1, rescale, "sigmoid")
    free.export(folder / "saved_free")
    x = imagery(size=(48, 80))
    note(folder, "saved_free", x, free.predict(x, verbose=0))

    logits = unet(keras, (None, None), 4, rescale, None)
    freeze(logits, "frozen_logits", [None, None, None, 3])
    note(folder, "frozen_logits", x, logits.predict(x, verbose=0))

    _write_two_ends(folder, tf)
    _write_deeplab(folder, tf)
    _write_detector(folder, tf)


def _write_graph(folder, name, graph):
    (folder / f"{name}.pb").write_bytes(graph.as_graph_def().SerializeToString())


def _write_two_ends(folder, tf):
    """Two inputs, two outputs: which ones count has to be said."""
    v1 = tf.compat.v1
    x = imagery(size=(16, 16))
    with tf.Graph().as_default() as graph:
        image = v1.placeholder(tf.float32, [None, None, None, 3], "image")
        other = v1.placeholder(tf.float32, [None, None, None, 1], "height")
        kernel = tf.constant(RANDOM.normal(size=(1, 1, 3, 4)).astype(np.float32) / 100)
        scores = tf.nn.softmax(tf.nn.conv2d(image, kernel, 1, "SAME"), name="scores")
        tf.identity(image * 2, name="doubled")
        tf.add(other, 1.0, name="higher")
        with v1.Session(graph=graph) as session:
            note(folder, "two_ends", x, session.run(scores, {image: x}))
        _write_graph(folder, "two_ends", graph)


def _write_deeplab(folder, tf):
    """What DeepLab's export script makes of a network, around a small one."""
    v1 = tf.compat.v1
    crop = 96
    image = RANDOM.integers(0, 256, (1, 64, 80, 3)).astype(np.uint8)
    with tf.Graph().as_default() as graph:
        tensor = v1.placeholder(tf.uint8, [1, None, None, 3], "ImageTensor")
        size = tf.shape(tensor)
        x = tf.cast(tensor, tf.float32) - 127.5
        x = tf.pad(x, [[0, 0], [0, crop - size[1]], [0, crop - size[2]], [0, 0]])
        x = tf.reshape(x, [1, crop, crop, 3]) / 127.5
        weights = [
            RANDOM.normal(size=s).astype(np.float32) for s in ((3, 3, 3, 8), (3, 3, 8, 8), (1, 1, 8, 6))
        ]
        x = tf.nn.relu6(tf.nn.conv2d(x, weights[0], 2, "SAME"))
        x = tf.nn.relu6(v1.nn.convolution(x, weights[1], padding="SAME", dilation_rate=[2, 2]))
        x = tf.nn.conv2d(x, weights[2], 1, "SAME")
        x = v1.image.resize_bilinear(x, [crop, crop], align_corners=True)
        classes = tf.argmax(x, axis=3)
        classes = tf.slice(classes, [0, 0, 0], [1, size[1], size[2]])
        classes = tf.cast(classes, tf.int32, name="SemanticPredictions")
        with v1.Session(graph=graph) as session:
            note(folder, "deeplab", image, session.run(classes, {tensor: image}))
        _write_graph(folder, "deeplab", graph)


def _write_detector(folder, tf):
    """The ends of the Object Detection API's graphs, with nothing between them."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        tensor = v1.placeholder(tf.uint8, [None, None, None, 3], "image_tensor")
        boxes = tf.reduce_mean(tf.cast(tensor, tf.float32), axis=[1, 2])
        tf.identity(boxes, name="detection_boxes")
        tf.identity(boxes, name="detection_scores")
        tf.identity(boxes, name="detection_classes")
        tf.identity(boxes, name="num_detections")
        _write_graph(folder, "detector", graph)


if __name__ == "__main__":
    import keras
    import tf_keras

    keras.utils.set_random_seed(20)
    tf_keras.utils.set_random_seed(20)
    target = Path(sys.argv[1])
    write_keras(target)
    write_tensorflow(target)

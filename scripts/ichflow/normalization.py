"""Batch normalization that a CPU computes in one pass."""

from typing import Any

import keras

_CHANNELS_AT_A_TIME = 16  # of oneDNN in bfloat16; with others it takes twenty times as long


class FusedBatchNormalization(keras.layers.BatchNormalization):  # pyright: ignore[reportUntypedBaseClass]
    """Keras's batch normalization, trained by TensorFlow's fused kernel: the same numbers several times as fast.

    Keras's own goes over what it normalizes a dozen times in float32, for half of a training's time on a CPU. On a GPU
    and with JAX, XLA makes one pass of these. Ioffe and Szegedy, "Batch normalization", ICML 2015,
    https://arxiv.org/abs/1502.03167.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalize (batch, row, column, channel), and follow mean and variance while training."""
        if not training:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        normalized, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            keras.ops.cast(inputs, "float32") if inputs.shape[-1] % _CHANNELS_AT_A_TIME else inputs,
            keras.ops.cast(self.gamma, "float32"),
            keras.ops.cast(self.beta, "float32"),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel returns the variance of the population, Keras follows that of the batch
        count = tf.cast(tf.size(inputs, tf.int64), tf.float32) / inputs.shape[-1]
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance * (count - 1) / count)
        return keras.ops.cast(normalized, self.compute_dtype)

    def _follow(self, moving: Any, value: Any) -> None:
        moving.assign(moving * self.momentum + value * (1.0 - self.momentum))

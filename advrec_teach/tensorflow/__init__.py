"""The TensorFlow track: ``from advrec_teach import tensorflow as advrec``.

The PyTorch track has the same names, with the same keyword arguments.
"""

# The quiet import comes first: whichever module imported TensorFlow before it would let the messages through.
from advrec_teach.tensorflow import _quiet  # noqa: F401
from advrec_teach.tensorflow._setup import setup
from advrec_teach.tensorflow._training import draw_negatives
from advrec_teach.tensorflow.adversarial import fit_adversarial
from advrec_teach.tensorflow.attacks import fgm_delta, fgsm_delta, pgd_delta, project, random_delta
from advrec_teach.tensorflow.behaviour import (
    InteractionVAE,
    SequenceDiscriminator,
    SequenceGenerator,
    fit_discriminator,
    fit_generator,
    fit_sequence_gan,
    fit_vae,
    gumbel_noise,
    gumbel_softmax,
    reinforce_loss,
    sample_sequences,
    sample_vae,
    straight_through,
    vae_loss,
)
from advrec_teach.tensorflow.bert import TextClassifier, fit_text_classifier, text_logits, text_loss
from advrec_teach.tensorflow.bpr import BPRModel, bpr_gradients, bpr_loss, fit_bpr
from advrec_teach.tensorflow.defences import fit_defended, robust_loss, smooth_loss
from advrec_teach.tensorflow.gan import (
    critic_loss,
    discriminator_loss,
    fit_gan,
    gaussian_data,
    generator_loss,
    gradient_penalty,
    mlp,
    ring_data,
    sample,
)
from advrec_teach.tensorflow.gan_recommenders import (
    RowDiscriminator,
    RowGenerator,
    draw_items,
    fit_cfgan,
    fit_irgan,
    item_mixture,
    policy_loss,
)
from advrec_teach.tensorflow.language import (
    LanguageModel,
    Memory,
    best_swaps,
    mean_log_likelihood,
    read_continuations,
)
from advrec_teach.tensorflow.privacy import (
    SetGenerator,
    example_gradients,
    fit_private,
    private_gradient,
    set_log_probabilities,
)
from advrec_teach.tensorflow.profiles import generated_profiles, gradient_profiles, poisoned_weights
from advrec_teach.tensorflow.robustness import attack_vectors, ranking_loss, robustness_curve
from advrec_teach.tensorflow.sequential import SequentialModel, fit_sequential, sequential_loss
from advrec_teach.tensorflow.tensors import generator, numpy, tensor, value_and_grad
from advrec_teach.tensorflow.text_defences import attack_texts, belief_divergence, fit_robust_text
from advrec_teach.tensorflow.text_slopes import text_slopes, text_vectors
from advrec_teach.tensorflow.ward import fit_ward, power_iteration

__all__ = [
    "BPRModel",
    "InteractionVAE",
    "LanguageModel",
    "Memory",
    "RowDiscriminator",
    "RowGenerator",
    "SequenceDiscriminator",
    "SequenceGenerator",
    "SequentialModel",
    "SetGenerator",
    "TextClassifier",
    "attack_texts",
    "attack_vectors",
    "belief_divergence",
    "best_swaps",
    "bpr_gradients",
    "bpr_loss",
    "critic_loss",
    "discriminator_loss",
    "draw_items",
    "draw_negatives",
    "example_gradients",
    "fgm_delta",
    "fgsm_delta",
    "fit_adversarial",
    "fit_bpr",
    "fit_cfgan",
    "fit_defended",
    "fit_discriminator",
    "fit_gan",
    "fit_generator",
    "fit_irgan",
    "fit_private",
    "fit_robust_text",
    "fit_sequence_gan",
    "fit_sequential",
    "fit_text_classifier",
    "fit_vae",
    "fit_ward",
    "gaussian_data",
    "generated_profiles",
    "generator",
    "generator_loss",
    "gradient_penalty",
    "gradient_profiles",
    "gumbel_noise",
    "gumbel_softmax",
    "item_mixture",
    "mean_log_likelihood",
    "mlp",
    "numpy",
    "pgd_delta",
    "poisoned_weights",
    "policy_loss",
    "power_iteration",
    "private_gradient",
    "project",
    "random_delta",
    "ranking_loss",
    "read_continuations",
    "reinforce_loss",
    "ring_data",
    "robust_loss",
    "robustness_curve",
    "sample",
    "sample_sequences",
    "sample_vae",
    "sequential_loss",
    "set_log_probabilities",
    "setup",
    "smooth_loss",
    "straight_through",
    "tensor",
    "text_logits",
    "text_loss",
    "text_slopes",
    "text_vectors",
    "vae_loss",
    "value_and_grad",
]

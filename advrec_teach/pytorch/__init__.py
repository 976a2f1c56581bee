"""The PyTorch track: ``from advrec_teach import pytorch as advrec``.

The TensorFlow track has the same names, with the same keyword arguments.
"""

from advrec_teach.pytorch._setup import setup
from advrec_teach.pytorch._training import draw_negatives
from advrec_teach.pytorch.adversarial import fit_adversarial
from advrec_teach.pytorch.attacks import fgm_delta, fgsm_delta, pgd_delta, project, random_delta
from advrec_teach.pytorch.behaviour import (
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
from advrec_teach.pytorch.bert import TextClassifier, fit_text_classifier, text_logits, text_loss
from advrec_teach.pytorch.bpr import BPRModel, bpr_gradients, bpr_loss, fit_bpr
from advrec_teach.pytorch.defences import fit_defended, robust_loss, smooth_loss
from advrec_teach.pytorch.gan import (
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
from advrec_teach.pytorch.gan_recommenders import (
    RowDiscriminator,
    RowGenerator,
    draw_items,
    fit_cfgan,
    fit_irgan,
    item_mixture,
    policy_loss,
)
from advrec_teach.pytorch.language import (
    LanguageModel,
    Memory,
    best_swaps,
    mean_log_likelihood,
    read_continuations,
)
from advrec_teach.pytorch.privacy import (
    SetGenerator,
    example_gradients,
    fit_private,
    private_gradient,
    set_log_probabilities,
)
from advrec_teach.pytorch.profiles import generated_profiles, gradient_profiles, poisoned_weights
from advrec_teach.pytorch.robustness import attack_vectors, ranking_loss, robustness_curve
from advrec_teach.pytorch.sequential import SequentialModel, fit_sequential, sequential_loss
from advrec_teach.pytorch.tensors import generator, numpy, tensor, value_and_grad
from advrec_teach.pytorch.text_defences import attack_texts, belief_divergence, fit_robust_text
from advrec_teach.pytorch.text_slopes import text_slopes, text_vectors
from advrec_teach.pytorch.ward import fit_ward, power_iteration

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

"""Where tensors live: nothing leaves the device that it was put on, and ``setup`` chooses it."""

import os
import random
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from advrec_teach import session, tracks
from advrec_teach.clinic import Patient
from advrec_teach.errors import CourseError
from advrec_teach.reference_defences import DEFENCES
from advrec_teach.splits import Interactions

NORMS = ("linf", "l2")
WARD = ({}, {"dropout": 0.3}, {"penalty": 1.0}, {"spectral": True}, {"loss": "minimax", "l2": 0.1})


def interactions(n_users=8, n_items=10):
    users = np.repeat(np.arange(n_users), 3)
    items = (users * 2 + np.tile(np.arange(3), n_users)) % n_items
    return Interactions(users, items, n_users, n_items)


# --- setup


def test_setup_says_one_line_and_fixes_every_seed(advrec, track, capsys):
    drawn = []
    for _ in range(2):
        assert advrec.setup(lesson="08", profile="smoke", seed=7, device="cpu") == "cpu"
        drawn.append((random.random(), np.random.rand(), noise(advrec)))
    assert drawn[0] == drawn[1]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0] == lines[1]
    title = tracks.TITLES[track]
    threads = r"\d+ threads?"
    assert __import__("re").fullmatch(rf"{title} \d+\.\d+\.\d+ on cpu, {threads}, seed 7, profile smoke", lines[0])
    assert session.current() == session.Session("08", track, "smoke", 7)
    assert tracks.current() == track and tracks.module() is advrec
    advrec.setup(seed=8, device="cpu")
    assert noise(advrec) != drawn[0][2]
    advrec.setup(device="cpu")


def noise(advrec):
    """Return a draw of the framework's own generator."""
    x = advrec.tensor(np.zeros((1, 3)))
    return tuple(advrec.numpy(advrec.random_delta(x, eps=1.0, norm="l2", generator=None))[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "tpu"}, "no device 'tpu'|does not run on 'tpu'"),
        ({"device": "quantum"}, "no device 'quantum'"),
        ({"device": 3}, "no device 3"),
        ({"device": "cpu:x"}, "no device 'cpu:x'"),
        ({"device": "cuda:99"}, "'cuda:99' cannot be used"),
        ({"device": "gpu:99"}, "'gpu:99' cannot be used"),
        ({"profile": "fast"}, "PROFILE is 'fast'"),
        ({"seed": -1}, "SEED is -1"),
        ({"seed": 1.5}, "SEED is 1.5"),
        ({"lesson": 8}, "lesson is 8"),
    ],
)
def test_setup_names_a_mistake_in_one_line_and_changes_nothing(advrec, settings, message):
    before = session.current()
    with pytest.raises(CourseError, match=message) as caught:
        advrec.setup(**settings)
    assert "\n" not in str(caught.value)
    assert session.current() == before


@pytest.mark.pytorch
def test_setup_asks_pytorch_for_deterministic_kernels():
    import torch

    from advrec_teach import pytorch as advrec

    torch.use_deterministic_algorithms(False)
    advrec.setup(device="cpu")
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark


@pytest.mark.tensorflow
def test_setup_takes_gpus_as_they_are_needed(monkeypatch):
    import tensorflow as tf

    from advrec_teach import tensorflow as advrec
    from advrec_teach.tensorflow import _setup

    gpus, visible, growing = ["first", "second"], [["first", "second"]], {}
    monkeypatch.setattr(_setup, "_device", None)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: gpus)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind=None: visible[-1])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda chosen, kind=None: visible.append(chosen))
    monkeypatch.setattr(tf.config.experimental, "get_memory_growth", growing.get)
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", growing.__setitem__)
    assert advrec.setup(device="cuda:1") == "gpu:1"
    assert visible[-1] == ["second"] and growing == {"second": True} and _setup.device() == "gpu:0"
    assert advrec.setup() == "gpu:0" and visible[-1] == ["first"] and growing["first"]
    assert advrec.setup(device="cpu") == "cpu" and visible[-1] == [] and _setup.device() == "cpu"

    def refuse(*_):
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "set_visible_devices", refuse)
    with pytest.raises(CourseError, match="restart the kernel"):
        advrec.setup(device="gpu")


# --- PyTorch on the meta device


@pytest.fixture
def meta(monkeypatch):
    """Let PyTorch's track live on the meta device, which refuses to meet a tensor of the processor."""
    import torch

    from advrec_teach.pytorch import _setup

    monkeypatch.setattr(_setup, "_device", torch.device("meta"))
    return torch


@pytest.mark.pytorch
def test_the_meta_device_catches_a_tensor_left_behind(meta):
    x = meta.ones((2, 3), device="meta")
    with pytest.raises(RuntimeError, match="device"):
        x + meta.ones((2, 3))


@pytest.mark.pytorch
def test_attacks_stay_on_their_device(meta):
    from advrec_teach import pytorch as advrec

    x = advrec.tensor(np.ones((4, 3)))
    assert x.device.type == "meta"

    def loss(v):
        return v.pow(2).sum()

    deltas = [advrec.fgsm_delta(loss, x, eps=0.1), advrec.fgm_delta(loss, x, eps=0.1)]
    for norm in NORMS:
        deltas.append(advrec.project(x, eps=0.1, norm=norm))
        deltas.append(advrec.random_delta(x, eps=0.1, norm=norm, generator=None))
        deltas.append(advrec.pgd_delta(loss, x, eps=0.1, step=0.1, steps=2, norm=norm))
    value, gradient = advrec.value_and_grad(lambda pair: loss(pair[0] * pair[1]), (x, x))
    for t in (*deltas, value, *gradient):
        assert t.device.type == "meta"


@pytest.mark.pytorch
def test_model_and_training_step_stay_on_their_device(meta):
    from advrec_teach import pytorch as advrec
    from advrec_teach.pytorch import _training, adversarial, defences

    model = advrec.BPRModel(8, 10, dim=4)
    users, items = advrec.tensor([0, 1]), advrec.tensor([2, 3])
    scores = model(users, items)
    for t in (scores, model.score_all(), model.score_all(users), model.copy().item_vectors):
        assert t.device.type == "meta"
    assert advrec.bpr_loss(scores, scores).device.type == "meta"
    table = meta.cat((model.user_vectors, model.item_vectors)).detach()
    rows = meta.cat((users, items + 8, items + 8))
    for optimizer in ("sgd", "adagrad", "adam"):
        for dtype in (meta.float32, meta.bfloat16):
            settings = {"optimizer": optimizer, "rate": 0.1, "regularisation": 0.1, "dtype": dtype}
            trainers = [_training.Trainer(table, 2, **settings)]
            for direction in ("fgm", "random", "raw"):
                attacked = {"adv_weight": 1.0, "direction": direction, "moved": (slice(None, 8), slice(8, None))}
                trainers.append(adversarial.AdversarialTrainer(table, 2, generator=None, **attacked, **settings))
            if dtype == meta.float32:
                del settings["dtype"]
                for defence in DEFENCES:
                    others = [table.clone()] if defence == "ensemble" else []
                    own = {"defence": defence, "adv_weight": 1.0, "exponent": 0.5, "replays": 2, "others": others}
                    trainers.append(defences.DefenceTrainer(table, 2, generator=None, **own, **settings))
            with meta.no_grad():
                for trainer in trainers:
                    assert all(loss.device.type == "meta" for loss in trainer.step(rows))
    loss_fn = advrec.ranking_loss(users, items, items)
    for method in ("fgsm", "fgm", "pgd"):
        for t in advrec.attack_vectors(model, loss_fn, method=method, eps=0.5, steps=2):
            assert t.device.type == "meta"


@pytest.mark.pytorch
def test_the_sequential_model_stays_on_its_device(meta):
    from advrec_teach import pytorch as advrec

    model = advrec.SequentialModel(10, dim=4, length=3)
    ids = advrec.tensor([[1, 2, 3], [4, 5, 10]])
    vectors = model.embed(ids)
    loss = advrec.sequential_loss(model.logits(vectors), ids)
    for t in (vectors, model.states(vectors), model.scores_from(vectors, ids), model(ids), loss):
        assert t.device.type == "meta"


@pytest.mark.pytorch
def test_text_classifiers_and_their_training_stay_on_their_device(meta):
    from advrec_teach import pytorch as advrec
    from advrec_teach.pytorch.bert import TextTrainer

    model = advrec.TextClassifier(layers=1, precision="float32")
    ids, labels = advrec.tensor([[5, 6, 7], [8, 9, 0]]), advrec.tensor([0, 1])
    made = [model.embed(ids), model.states(ids), model.pool(ids), model.logits(ids, embeddings=model.embed(ids))]
    trainer = TextTrainer(model, np.ones(2, np.float32), decay=0.1)
    factors = meta.ones(2, 384, device="meta")
    loss, gradients = trainer.slopes(ids, labels, factors)
    trainer.step(ids, labels, factors, 0.1)
    for t in (*made, loss, *gradients, *model.copy().trained().values(), *trainer.snapshot()):
        assert t.device.type == "meta"


@pytest.mark.pytorch
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("defence", ["fgm", "pgd", "freelb", "smooth", "random"])
def test_robust_training_of_texts_stays_on_its_device(meta, defence, layer):
    from advrec_teach import pytorch as advrec
    from advrec_teach.pytorch.text_defences import RobustTextTrainer

    model = advrec.TextClassifier(layers=1, precision="float32")
    ids, labels = np.array([[5, 6, 7], [8, 9, 0]]), np.array([0, 1])
    settings = {"eps": 0.1, "steps_inner": 2, "step_inner": None, "adv_weight": 1.0, "layer": layer}
    rng = np.random.default_rng(0)
    trainer = RobustTextTrainer(model, np.ones(2, np.float32), decay=0.1, defence=defence, rng=rng, **settings)
    factors = np.ones((2, 384), np.float32)
    loss = trainer.step(ids, labels, factors, 0.1)
    again, gradients = trainer.slopes(*(advrec.tensor(v) for v in (ids, labels, factors)))
    for t in (loss, again, *gradients, *model.trained().values()):
        assert t.device.type == "meta"


@pytest.mark.pytorch
def test_language_models_stay_on_their_device(meta):
    from advrec_teach import pytorch as advrec

    model = advrec.LanguageModel()
    memory = model.read([[5, 6, 7], [8]], batch_size=1)
    again = memory.take([1, 0, 1])
    states = model.states(model.embed([[5, 6], [7, 8], [9, 0]]), after=again)
    logits = model.logits(states)
    made = [model.table, memory.keys, memory.values, memory.last, again.keys, again.last, states, logits]
    made += [advrec.mean_log_likelihood(logits, [[5, 6]] * 3, [1] * 3), advrec.best_swaps(states[0], model.table, 3)]
    for t in made:
        assert t.device.type == "meta"


@pytest.mark.pytorch
def test_networks_that_invent_users_stay_on_their_device(meta):
    from advrec_teach import pytorch as advrec

    generator = advrec.SequenceGenerator(10, length=5, dim=3, hidden=4)
    rows = advrec.tensor([[1, 2, 3, 4, 5], [5, 6, 7, 8, 9]])
    noise = meta.ones((2, 5, 10), device="meta")
    drawn = generator.roll(noise)
    made = [generator.logits(rows), generator.log_probabilities(rows), drawn, generator.roll(noise, hard=False)]
    for kind in ("cnn", "rnn"):
        judge = advrec.SequenceDiscriminator(10, kind=kind, dim=3, hidden=4)
        made += [judge.score(rows), judge(drawn)]
    model = advrec.InteractionVAE(10, hidden=4, latent=2)
    mean, log_variance = model.encode(noise[:, 0])
    logits = model.decode(mean)
    made += [mean, log_variance, logits, advrec.vae_loss(logits, noise[:, 0], mean, log_variance, beta=0.5)]
    made += [advrec.reinforce_loss(made[1].sum(1), judge.score(rows)), *model.copy().weights.values()]
    for t in made:
        assert t.device.type == "meta"


@pytest.mark.pytorch
def test_recommenders_that_play_a_game_stay_on_their_device(meta):
    from advrec_teach import pytorch as advrec

    rows = meta.ones((2, 5), device="meta")
    made = advrec.RowGenerator(5, hidden=3)(rows)
    mixed = advrec.item_mixture(made, rows, share=0.2)
    items = advrec.draw_items(mixed, rows)
    judged = advrec.RowDiscriminator(5, hidden=3).copy()(made, rows)
    for t in (made, mixed, items, judged, advrec.policy_loss(made, items, mixed)):
        assert t.device.type == "meta"


@pytest.mark.pytorch
def test_the_private_step_stays_on_its_device(meta):
    from advrec_teach import pytorch as advrec

    model = advrec.SetGenerator(10, length=5, dim=3)
    rows = advrec.tensor([[1, 2, 3, 4, 5], [5, 6, 7, 8, 9]])
    own = advrec.example_gradients(lambda w, row: -advrec.set_log_probabilities(w, row).mean(), model.tensors(), rows)
    step = advrec.private_gradient(own, model.tensors(), clip=1.0, noise_multiplier=1.0, batch_size=2)
    made = [model.log_probabilities(rows), model.roll(meta.ones((2, 5, 10), device="meta"))]
    for t in (*made, *own.values(), *step.values()):
        assert t.device.type == "meta"


@pytest.mark.pytorch
def test_every_tensor_is_made_on_a_named_device():
    """Training draws numbers and looks at them, which no meta tensor can; so each creation is watched instead."""
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils._device import _device_constructors

    from advrec_teach import pytorch as advrec

    made = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            if function in _device_constructors():
                made.append((function.__name__, kwargs.get("device")))
            return function(*args, **kwargs)

    sequential = advrec.SequentialModel(10, dim=4, length=3)  # a layer makes its weights, then moves them
    writer, judge = advrec.SequenceGenerator(10, length=5), advrec.SequenceDiscriminator(10)
    autoencoder = advrec.InteractionVAE(10)
    rows = np.array([[1, 2, 3, 4, 5], [5, 6, 7, 8, 9]])
    with Watch():
        torch.zeros(1)
        assert made.pop() == ("zeros", None)
        model = advrec.BPRModel(8, 10, dim=4)
        for optimizer in ("sgd", "adagrad", "adam"):
            settings = {"epochs": 2, "optimizer": optimizer, "batch_size": 7, "regularisation": 0.1}
            advrec.fit_bpr(model, interactions(), **settings)
            for direction in ("fgm", "random"):
                advrec.fit_adversarial(model, interactions(), eps=0.5, direction=direction, **settings)
        advrec.fit_sequential(sequential, [[1, 2, 3], [4, 5, 10]], epochs=1, dropout=0.1, eps=0.1)
        ward = [Patient(**setting) for setting in WARD]
        advrec.fit_ward(ward, advrec.ring_data(), seeds=[0], steps=2, batch_size=4, samples=3, callback=lambda *_: None)
        advrec.fit_generator(writer, rows, epochs=1)
        for settings in ({}, {"clip": 1.0, "noise_multiplier": 1.0}):
            advrec.fit_private(advrec.SetGenerator(10, length=5), rows, steps=2, batch_size=1, **settings)
        advrec.fit_discriminator(judge, rows, rows, epochs=1)
        advrec.fit_vae(autoencoder, np.ones((2, 10)), epochs=1)
        for estimator in ("straight-through", "reinforce"):
            advrec.fit_sequence_gan(writer, judge, rows, steps=1, estimator=estimator, batch_size=2)
        advrec.sample_sequences(writer, 2)
        advrec.sample_vae(autoencoder, 2, length=5)
        table = interactions().table()
        for opponent in (advrec.RowDiscriminator(10, hidden=3), None):
            advrec.fit_cfgan(advrec.RowGenerator(10, hidden=3), opponent, table, epochs=1, batch_size=3)
        advrec.fit_irgan(model.copy(), model, interactions(), epochs=1)
        for defence in DEFENCES:
            others = [model.copy()] if defence == "ensemble" else []
            advrec.fit_defended(model, interactions(), epochs=1, defence=defence, others=others, batch_size=7)
        for direction in ("fgm", "random"):
            rows = [[1, 2, 3], [4, 5, 10]]
            advrec.fit_sequential(sequential, rows, epochs=1, dropout=0.1, eps=0.1, direction=direction)
        for norm in NORMS:
            settings = {"eps": 0.1, "step": 0.1, "steps": 1, "norm": norm}
            advrec.pgd_delta(torch.sum, model.user_vectors, generator=advrec.generator(0), **settings)
            advrec.random_delta(model.user_vectors, eps=0.1, norm=norm, generator=advrec.generator(0))
    assert len(made) > 10
    assert [name for name, device in made if device is None] == []


# --- TensorFlow with two devices and soft placement off

PLACEMENT = """
    import numpy as np
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    tf.config.set_soft_device_placement(False)

    from advrec_teach import tensorflow as advrec
    from advrec_teach.clinic import Patient
    from advrec_teach.reference_defences import DEFENCES
    from advrec_teach.splits import Interactions
    from advrec_teach.tensorflow import _setup
    from advrec_teach.texts import EncodedTexts

    advrec.setup(device="cpu")
    _setup._device = "cpu:1"
    try:
        with tf.device("gpu:0"):
            tf.ones(2)
    except (tf.errors.InvalidArgumentError, RuntimeError):
        pass
    else:
        raise SystemExit("an impossible placement was made possible")

    def here(t):
        assert t.device.endswith("CPU:1"), t.device

    def loss(v):
        return tf.reduce_sum(v * v)

    users = np.repeat(np.arange(8), 3)
    train = Interactions(users, (users * 2 + np.tile(np.arange(3), 8)) % 10, 8, 10)
    model = advrec.BPRModel(8, 10, dim=4)
    for variable in (model.user_vectors, model.item_vectors, model.copy().item_vectors):
        here(variable.value)
    with tf.device("cpu:1"):
        x = advrec.tensor(np.ones((4, 3)))
        here(x)
        here(advrec.fgsm_delta(loss, x, eps=0.1))
        here(advrec.fgm_delta(loss, x, eps=0.1))
        for norm in ("linf", "l2"):
            here(advrec.project(x, eps=0.1, norm=norm))
            here(advrec.random_delta(x, eps=0.1, norm=norm, generator=advrec.generator(0)))
            for start in (None, advrec.generator(0)):
                for compile in (False, True):
                    settings = {"eps": 0.1, "step": 0.1, "steps": 2, "norm": norm, "compile": compile}
                    here(advrec.pgd_delta(loss, x, generator=start, **settings))
        here(model(advrec.tensor([0, 1]), advrec.tensor([2, 3])))
        here(model.score_all())
        here(advrec.draw_negatives(advrec.tensor(train.users), advrec.tensor(train.table())))
    for compile in (True, False):
        for optimizer in ("sgd", "adagrad", "adam"):
            history = advrec.fit_bpr(
                model, train, epochs=2, batch_size=7, optimizer=optimizer, compile=compile, precision="bfloat16"
            )
            assert len(history) == 2
        for direction in ("fgm", "random", "raw"):
            advrec.fit_adversarial(model, train, epochs=2, eps=0.5, direction=direction, batch_size=7, compile=compile)
        for defence in DEFENCES:
            others = [model.copy()] if defence == "ensemble" else []
            advrec.fit_defended(
                model, train, epochs=2, defence=defence, others=others, batch_size=7, compile=compile
            )
    here(model.user_vectors.value)
    ids = [advrec.tensor(v) for v in (train.users, train.items, (train.items + 5) % 10)]
    loss_fn = advrec.ranking_loss(*ids)
    for method in ("random", "fgsm", "fgm", "pgd"):
        for moved in advrec.attack_vectors(model, loss_fn, method=method, eps=0.5, steps=2):
            here(moved)
    sequential, ids = advrec.SequentialModel(10, dim=4, length=3), advrec.tensor([[1, 2, 3], [4, 5, 10]])
    here(sequential.score_all([[1, 2, 10]]))
    with tf.device("cpu:1"):
        vectors = sequential.embed(ids)
        here(sequential.scores_from(vectors, ids))
        here(advrec.sequential_loss(sequential.logits(vectors), ids))
    for compile in (True, False):
        for direction in ("fgm", "random"):
            settings = {"epochs": 1, "eps": 0.1, "direction": direction, "compile": compile}
            advrec.fit_sequential(sequential, advrec.numpy(ids), **settings)
    for variable in sequential.variables:
        here(variable.value)
    texts = EncodedTexts([[5, 6, 7], [8, 9, 0]], [3, 2], [0, 1])
    classifier = advrec.TextClassifier(layers=1)
    with tf.device("cpu:1"):
        here(classifier.logits(texts.ids, embeddings=classifier.embed(texts.ids)))
        here(advrec.text_loss(classifier.logits(texts.ids), texts.labels, [1.0, 2.0]))
    advrec.fit_text_classifier(classifier, texts, steps=2, validation=texts, patience=1)
    for defence in ("fgm", "pgd", "freelb", "smooth", "random"):
        advrec.fit_robust_text(classifier, texts, steps=2, defence=defence)
    for method in ("fgm", "pgd", "random"):
        advrec.attack_texts(classifier, texts, method=method, eps=0.1)
    advrec.text_slopes(classifier, texts)
    advrec.text_vectors(classifier, texts)
    for variable in classifier.variables:
        here(variable.value)
    talker = advrec.LanguageModel()
    kept = talker.read([[5, 6, 7], [8]], batch_size=1)
    with tf.device("cpu:1"):
        said = talker.states(talker.embed([[5, 6], [7, 8], [9, 0]]), after=kept.take([1, 0, 1]))
        for t in (talker.table, kept.keys, kept.last, said, talker.logits(said)):
            here(t)
        here(advrec.mean_log_likelihood(talker.logits(said), [[5, 6]] * 3, [1] * 3))
    advrec.read_continuations(talker, kept, [[5], [6, 7]])
    for variable in talker.network.variables:
        here(variable.value)
    maker = advrec.RowGenerator(10, hidden=3)
    for opponent in (advrec.RowDiscriminator(10, hidden=3), None):
        advrec.fit_cfgan(maker, opponent, train.table(), epochs=1, batch_size=3)
    advrec.fit_irgan(model.copy(), model, train, epochs=1)
    for variable in (*maker.variables, model.user_vectors):
        here(variable.value)
    ward = [Patient(), Patient(dropout=0.3), Patient(penalty=1.0), Patient(spectral=True)]
    advrec.fit_ward(ward, advrec.ring_data(), seeds=[0], steps=2, batch_size=4, samples=3, callback=lambda *_: None)
    writer = advrec.SequenceGenerator(10, length=5)
    judges = [advrec.SequenceDiscriminator(10, kind=kind) for kind in ("cnn", "rnn")]
    rows, autoencoder = np.array([[1, 2, 3, 4, 5], [5, 6, 7, 8, 9]]), advrec.InteractionVAE(10)
    advrec.fit_generator(writer, rows, epochs=1)
    private = advrec.SetGenerator(10, length=5)
    for settings in ({}, {"clip": 1.0, "noise_multiplier": 1.0}):
        advrec.fit_private(private, rows, steps=2, batch_size=1, **settings)
    advrec.fit_vae(autoencoder, np.ones((2, 10)), epochs=1)
    for judge in judges:
        advrec.fit_discriminator(judge, rows, rows, epochs=1)
        advrec.fit_sequence_gan(writer, judge, rows, steps=1, batch_size=2)
    with tf.device("cpu:1"):
        here(judges[1].score(advrec.tensor(rows)))
        here(private.log_probabilities(advrec.tensor(rows)))
        here(writer.roll(advrec.gumbel_noise((2, 5, 10), generator=advrec.generator(0))))
    for network in (writer, *judges, autoencoder, writer.copy(), private):
        for variable in network.variables:
            here(variable.value)
    print("every tensor on its device")
"""


@pytest.mark.tensorflow
def test_tensorflow_keeps_tensors_on_their_device():
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PLACEMENT)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("every tensor on its device\n")

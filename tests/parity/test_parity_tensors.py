"""Tensors and ``value_and_grad``, the same in both tracks."""

import numpy as np
import pytest

from advrec_teach import reference


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        ([1.5, 2], "float32"),
        (np.float64(2.0), "float32"),
        (np.ones(2, np.float16), "float32"),
        ([1, 2], "int64"),
        (np.ones(2, np.int32), "int64"),
        (np.ones(2, np.uint8), "int64"),
        (np.ones(2, np.uint32), "int64"),
        ([True, False], "bool"),
        (np.zeros((0, 3)), "float32"),
    ],
)
def test_entries_get_the_types_that_training_uses(advrec, array, kind):
    made = advrec.numpy(advrec.tensor(array))
    assert made.dtype == kind and made.shape == np.shape(array)
    np.testing.assert_array_equal(made, np.asarray(array))


def test_a_type_can_be_asked_for(advrec):
    assert advrec.numpy(advrec.tensor([1, 2], "float32")).dtype == np.float32
    assert advrec.numpy(advrec.tensor([1.0], "float64")).dtype == np.float64
    half = advrec.tensor([1.0, 2.5], "bfloat16")
    assert "bfloat16" in str(half.dtype)
    assert advrec.numpy(half).dtype == np.float32
    np.testing.assert_array_equal(advrec.numpy(half), [1.0, 2.5])
    assert advrec.numpy(advrec.tensor(half)).dtype == np.float32


@pytest.mark.parametrize("array", [["a", "b"], [None], [1 + 2j]])
def test_what_is_no_number_is_refused(advrec, array):
    with pytest.raises(ValueError, match="numbers or booleans"):
        advrec.tensor(array)


def test_a_tensor_never_shares_memory_with_the_data(advrec):
    data = np.ones(3, np.float32)
    made = advrec.tensor(data)
    data[:] = 7
    np.testing.assert_array_equal(advrec.numpy(made), 1)
    data.flags.writeable = False
    advrec.tensor(data)


def test_numpy_reads_parameters_and_arrays(advrec, ops):
    np.testing.assert_array_equal(advrec.numpy(ops.parameter(np.ones(2, np.float32))), [1, 1])
    np.testing.assert_array_equal(advrec.numpy([1, 2]), [1, 2])


def test_generators_repeat(advrec):
    x = advrec.tensor(np.zeros((4, 3)))

    def draw(seed):
        return advrec.numpy(advrec.random_delta(x, eps=1, norm="l2", generator=advrec.generator(seed)))

    np.testing.assert_array_equal(draw(1), draw(1))
    assert np.abs(draw(1) - draw(2)).max() > 0.1


# --- value_and_grad


def test_value_and_gradient_match_the_reference(advrec, ops):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(6, 4)) for _ in range(3)]
    loss, *gradients = reference.bpr_gradients(*arrays)

    def loss_fn(triple):
        p, qi, qj = triple
        return ops.mean(ops.softplus(-ops.sum(p * (qi - qj), 1)))

    for kind in (tuple, list):
        value, found = advrec.value_and_grad(loss_fn, kind(advrec.tensor(a) for a in arrays))
        assert type(found) is kind and advrec.numpy(value).shape == ()
        assert advrec.numpy(value) == pytest.approx(loss, abs=1e-5)
        for ours, theirs in zip(found, gradients, strict=True):
            np.testing.assert_allclose(advrec.numpy(ours), theirs, atol=1e-5)
    p, qi, qj = (advrec.tensor(a) for a in arrays)
    value, found = advrec.value_and_grad(lambda moved: loss_fn((moved, qi, qj)), p)
    np.testing.assert_allclose(advrec.numpy(found), gradients[0], atol=1e-5)
    assert not getattr(value, "requires_grad", False) and not getattr(found, "requires_grad", False)


def test_a_table_that_is_read_row_by_row_has_a_dense_gradient(advrec, ops):
    table, rows = advrec.tensor(np.ones((4, 2))), advrec.tensor([1, 1, 3])
    _, gradient = advrec.value_and_grad(lambda t: ops.sum(ops.take(t, rows)), table)
    assert type(gradient) is type(table)
    np.testing.assert_array_equal(advrec.numpy(gradient), [[0, 0], [2, 2], [0, 0], [1, 1]])


def test_parameters_and_input_are_untouched(advrec, ops):
    weights = ops.parameter(np.array([[2.0], [3.0]], np.float32))
    x = advrec.tensor(np.ones((4, 2)))
    _, gradient = advrec.value_and_grad(lambda v: ops.sum(ops.matmul(v, weights)), x)
    np.testing.assert_array_equal(advrec.numpy(gradient), [[2, 3]] * 4)
    np.testing.assert_array_equal(advrec.numpy(weights), [[2], [3]])
    np.testing.assert_array_equal(advrec.numpy(x), 1)
    assert getattr(weights, "grad", None) is None
    assert not getattr(x, "requires_grad", False)


def test_a_parameter_can_itself_be_the_input(advrec, ops):
    model = advrec.BPRModel(3, 4, dim=2)
    value, gradient = advrec.value_and_grad(lambda v: ops.sum(v * v), model.user_vectors)
    vectors = advrec.numpy(model.user_vectors)
    assert advrec.numpy(value) == pytest.approx((vectors**2).sum(), abs=1e-5)
    np.testing.assert_allclose(advrec.numpy(gradient), 2 * vectors, atol=1e-6)
    assert getattr(model.user_vectors, "grad", None) is None


def test_a_loss_of_shape_one_counts_as_one_number(advrec, ops):
    value, gradient = advrec.value_and_grad(lambda v: ops.sum(v * v, 0), advrec.tensor([[3.0]]))
    assert advrec.numpy(value).shape == () and advrec.numpy(value) == 9
    np.testing.assert_array_equal(advrec.numpy(gradient), [[6]])


def test_mistakes_are_named(advrec, ops):
    x = advrec.tensor(np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"shape \(4,\).*sum or average"):
        advrec.value_and_grad(lambda v: ops.sum(v, 1), x)
    with pytest.raises(ValueError, match="whole numbers"):
        advrec.value_and_grad(lambda v: ops.sum(v), advrec.tensor([1, 2]))
    with pytest.raises(ValueError, match="does not depend on x"):
        advrec.value_and_grad(lambda v: ops.sum(x), x)
    with pytest.raises(ValueError, match="does not depend on x"):
        advrec.value_and_grad(lambda pair: ops.sum(pair[0]), (x, x))
    with pytest.raises(ValueError, match="returned a float"):
        advrec.value_and_grad(lambda v: 1.0, x)
    with pytest.raises(ValueError, match="returned a NoneType"):
        advrec.value_and_grad(lambda v: None, x)


@pytest.mark.pytorch
def test_gradients_are_found_where_pytorch_records_none():
    import torch

    from advrec_teach import pytorch as advrec

    weights = torch.nn.Parameter(torch.tensor([2.0]))
    weights.grad = torch.tensor([5.0])
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            x = torch.ones(3)
            _, gradient = advrec.value_and_grad(lambda v: (weights * v).sum(), x)
            assert gradient.tolist() == [2, 2, 2]
            assert not torch.is_grad_enabled()
    assert weights.grad.tolist() == [5] and weights.requires_grad


@pytest.mark.tensorflow
def test_value_and_gradient_inside_a_graph():
    import tensorflow as tf

    from advrec_teach import tensorflow as advrec

    @tf.function(input_signature=[tf.TensorSpec([None, 2])])
    def step(x):
        return advrec.value_and_grad(lambda v: tf.reduce_sum(v * v), x)

    value, gradient = step(tf.ones((3, 2)))
    assert float(value) == 6 and gradient.numpy().tolist() == [[2, 2]] * 3

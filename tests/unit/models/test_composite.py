import torch

from tsgen.models.composite import composite_log_prob


def test_the_value_is_the_joints_and_each_part_keeps_its_gradient():
    parts = torch.randn(2, 5, dtype=torch.float64).requires_grad_()
    joint, marginal = parts[0] ** 2, parts[1].exp()
    log_prob = composite_log_prob(joint, marginal)
    assert torch.allclose(log_prob, joint)
    (gradient,) = torch.autograd.grad(log_prob.sum(), parts)
    assert torch.allclose(gradient, torch.stack([2 * parts[0], parts[1].exp()]))

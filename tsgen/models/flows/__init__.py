"""Normalizing flows: exact conditional densities by change of variables."""

from tsgen.core import Registry
from tsgen.models.flows.autoregressive import (
    BPF,
    IAF,
    MAF,
    NAF,
    NSF,
    SOSPF,
    QuadraticSplineFlow,
    UMNNFlow,
)
from tsgen.models.flows.base import Flow
from tsgen.models.flows.bnaf import BNAF
from tsgen.models.flows.cnf import CNFFlow
from tsgen.models.flows.coupling import NICE, FlowPP, Glow, RealNVP
from tsgen.models.flows.ffjord import FFJORDFlow
from tsgen.models.flows.layered import LayeredFlow
from tsgen.models.flows.planar import PlanarFlow, RadialFlow
from tsgen.models.flows.residual_flow import ResidualFlow
from tsgen.models.flows.sylvester import SylvesterFlow

flows: Registry[Flow] = Registry(
    "flow",
    {
        "nice": NICE,
        "realnvp": RealNVP,
        "glow": Glow,
        "flowpp": FlowPP,
        "maf": MAF,
        "iaf": IAF,
        "nsf": NSF,
        "quadratic_spline": QuadraticSplineFlow,
        "naf": NAF,
        "umnn": UMNNFlow,
        "sospf": SOSPF,
        "bpf": BPF,
        "bnaf": BNAF,
        "residual": ResidualFlow,
        "planar": PlanarFlow,
        "radial": RadialFlow,
        "sylvester": SylvesterFlow,
        "cnf": CNFFlow,
        "ffjord": FFJORDFlow,
    },
)
"""Every flow by name."""

__all__ = [
    "BNAF",
    "BPF",
    "IAF",
    "MAF",
    "NAF",
    "NICE",
    "NSF",
    "SOSPF",
    "CNFFlow",
    "FFJORDFlow",
    "Flow",
    "FlowPP",
    "Glow",
    "LayeredFlow",
    "PlanarFlow",
    "QuadraticSplineFlow",
    "RadialFlow",
    "RealNVP",
    "ResidualFlow",
    "SylvesterFlow",
    "UMNNFlow",
    "flows",
]

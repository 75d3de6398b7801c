# mypy: ignore-errors
"""One launch of a Triton kernel evaluates the residual network.

:mod:`tsgen.nets.residual.reference` defines what it computes.

A program owns ``GROUP`` whole rows, that is ``GROUP * P`` columns, and nobody else reads or writes
them; so a barrier of its own threads after each block is all the waiting there is. What neighbours
must see of each other lies in the program's own slot of scratch memory, which stays in the GPU's
caches: two copies of the state (a block reads one and writes the other) and the sum of the skip
parts, each (C, PITCH).

``TILES`` tiles of ``WIDE`` columns are worked on at once, one column of each by each thread with
all its channels, so that a weight is loaded once for all of them: loads limit the speed otherwise.

Weights are transposed: (L, 3 C + FEATURES + 1, 2 C) and (L, C + 1, 2 C).
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

if tuple(map(int, triton.__version__.split(".")[:2])) < (3, 7):
    raise ImportError(f"Triton {triton.__version__} spills this kernel's registers, 3.7 does not")

WIDE = tl.constexpr(128)
"""Columns of a tile: one for each thread of four warps."""


@triton.jit
def _leaky(x):
    return tl.where(x > 0, x, 0.4 * x)


@triton.jit
def _gate(a, b):
    # sigmoid(a) (1 - 2 sigmoid(b)) with one division; the limits keep its parts below 1e35
    a = tl.exp(tl.minimum(-a, 50.0, tl.PropagateNan.ALL))
    b = tl.exp(tl.minimum(-b, 30.0, tl.PropagateNan.ALL))
    return (b - 1) / ((1 + a) * (1 + b))


@triton.jit
def _pick(tiles, i: tl.constexpr, TILES: tl.constexpr):
    # row i of each (C, WIDE); integer sums with 0 vanish in compilation: this costs nothing
    rows = ()
    for j in tl.static_range(TILES):
        number = tl.arange(0, tiles[j].shape[0])[:, None]
        bits = tl.where(number == i, tiles[j].to(tl.int32, bitcast=True), 0)
        rows = rows + (tl.sum(bits, 0).to(tl.float32, bitcast=True),)
    return rows


@triton.jit
def _start(bias, OUT: tl.constexpr, PARTS: tl.constexpr, TILES: tl.constexpr):
    # sums that have the bias in them: PARTS times TILES arrays (OUT, WIDE)
    sums = ()
    for part in tl.static_range(PARTS):
        column = tl.load(bias + part * OUT + tl.arange(0, OUT))[:, None]
        for _ in tl.static_range(TILES):
            sums = sums + (tl.broadcast_to(column, (OUT, WIDE)),)
    return sums


@triton.jit
def _add(
    sums, weight, rows, OUT: tl.constexpr, PARTS: tl.constexpr, TILES: tl.constexpr
):  # fmt: skip
    # weight (PARTS * OUT,) times a row of each tile
    new = ()
    for part in tl.static_range(PARTS):
        column = tl.load(weight + part * OUT + tl.arange(0, OUT))[:, None]
        for j in tl.static_range(TILES):
            new = new + (sums[part * TILES + j] + column * rows[j][None, :],)
    return new


@triton.jit
def _convolve(
    weight, state, lane, start, distance, P: tl.constexpr, FEATURES: tl.constexpr,
    C: tl.constexpr, COLUMNS: tl.constexpr, PITCH: tl.constexpr, OUT: tl.constexpr,
    PARTS: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    # columns of the tiles from ``start`` on, and bias and three taps of their convolution
    here, beside = (), ()
    for j in tl.static_range(TILES):
        at = start + j * WIDE + lane
        left = at - distance + tl.where(at % P < distance, P, 0)
        right = at + distance - tl.where(at % P + distance >= P, P, 0)
        used = at < COLUMNS  # the padding sees itself
        beside = beside + (tl.where(used, left, at), tl.where(used, right, at))
        here = here + (at,)
    row: tl.constexpr = PARTS * OUT
    one: tl.constexpr = 2 * C + FEATURES
    unroll: tl.constexpr = 4 if C >= 4 else C
    sums = _start(weight + one * row, OUT, PARTS, TILES)
    for first in range(0, C, unroll):
        for u in tl.static_range(unroll):
            for side in tl.static_range(3):
                h, rows = state + (first + u) * PITCH, ()
                for j in tl.static_range(TILES):
                    at = here[j] if side == 2 else beside[2 * j + side]
                    rows = rows + (tl.load(h + at),)
                tap = first + u + (one + 1 if side == 2 else side * C)
                sums = _add(sums, weight + tap * row, rows, OUT, PARTS, TILES)
    return here, sums


@triton.jit(do_not_specialize=["rows"])
def _kernel(
    x, conditioning, convolutions, projections, skip, output, entry, dilations, scratch, result,
    rows, layers,
    P: tl.constexpr, FEATURES: tl.constexpr, C: tl.constexpr, GROUP: tl.constexpr,
    PITCH: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    columns: tl.constexpr = GROUP * P
    step: tl.constexpr = TILES * WIDE
    channel = tl.arange(0, C)
    slot = scratch + tl.program_id(0).to(tl.int64) * (3 * C * PITCH)
    skips = slot + 2 * C * PITCH
    # The numbers of the threads, xor 0: if Triton knew them to be successive, it would give each
    # thread four neighbouring columns at loads and stores, and carry them through shared memory.
    lane = tl.arange(0, WIDE) ^ (layers >> 30)
    for group in range(tl.program_id(0), tl.cdiv(rows, GROUP), tl.num_programs(0)):
        begin = group * tl.full((), columns, tl.int64)
        count = tl.minimum(rows - group * GROUP, GROUP) * P  # the last group may have fewer rows
        for start in range(0, PITCH, WIDE):
            at = start + lane
            weight, bias = tl.load(entry + channel), tl.load(entry + C + channel)
            value = tl.load(x + begin + at, at < count, 0.0)
            h = _leaky(weight[:, None] * value[None, :] + bias[:, None])
            tile = at[None, :] + (channel * PITCH)[:, None]
            tl.store(slot + tile, h)
            tl.store(skips + tile, tl.zeros_like(h))
        tl.debug_barrier()
        for block in range(layers):
            old = slot + block % 2 * (C * PITCH)
            new = slot + (1 - block % 2) * (C * PITCH)
            w = convolutions + block * ((3 * C + FEATURES + 1) * 2 * C)
            v = projections + block * ((C + 1) * 2 * C)
            distance = tl.load(dilations + block) % P
            for start in range(0, PITCH, step):
                here, sums = _convolve(
                    w, old, lane, start, distance, P, FEATURES, C, columns, PITCH, C, 2, TILES
                )
                for f in tl.static_range(FEATURES):
                    features = ()
                    for j in tl.static_range(TILES):
                        at = here[j] // P * (FEATURES * P) + f * P + here[j] % P
                        source = conditioning + begin * FEATURES + at
                        features = features + (tl.load(source, here[j] < count, 0.0),)
                    sums = _add(sums, w + (2 * C + f) * 2 * C, features, C, 2, TILES)
                gated = ()
                for j in tl.static_range(TILES):
                    gated = gated + (_gate(sums[j], sums[TILES + j]),)
                sums = _start(v + C * 2 * C, C, 2, TILES)
                for i in tl.static_range(C):
                    sums = _add(sums, v + i * 2 * C, _pick(gated, i, TILES), C, 2, TILES)
                for j in tl.static_range(TILES):
                    tile = here[j][None, :] + (channel * PITCH)[:, None]
                    tl.store(new + tile, tl.load(old + tile) + _leaky(sums[j]))
                    total = tl.load(skips + tile) + _leaky(sums[TILES + j])
                    tl.store(skips + tile, total)
            tl.debug_barrier()
        for start in range(0, PITCH, step):
            here, sums = _convolve(
                skip, skips, lane, start, 1 % P, P, FEATURES, C, columns, PITCH, C, 1, TILES
            )
            for j in tl.static_range(TILES):
                tile = here[j][None, :] + (channel * PITCH)[:, None]
                tl.store(slot + tile, _leaky(sums[j]))
        tl.debug_barrier()
        for start in range(0, PITCH, step):
            here, sums = _convolve(
                output, slot, lane, start, 1 % P, P, FEATURES, C, columns, PITCH, 1, 1, TILES
            )
            sums = _pick(sums, 0, TILES)
            for j in tl.static_range(TILES):
                tl.store(result + begin + here[j], sums[j], here[j] < count)
        tl.debug_barrier()  # before the next group takes the slot


class Division(NamedTuple):
    """How the kernel deals rows out to its programs."""

    group: int
    pitch: int
    tiles: int
    programs: int

    def scratch_size(self, channels: int) -> int:
        """Numbers of scratch memory."""
        return 3 * channels * self.pitch * self.programs

    def registers(self, channels: int) -> int | None:
        """The most a thread may have, so that enough of them are on a processor at once."""
        sums = 2 * channels * self.tiles
        return min(255, 32 + 2 * sums) if sums >= 48 else None


def divide(rows: int, positions: int, channels: int, processors: int) -> Division:
    """The division that keeps the busiest processor for the shortest time, by a rough reckoning.

    Padded columns count; loads of weights take about as long as the rest does for a tile and a
    half; and with n programs at once on a processor, it idles for 1 / (n + 1) of the time. A
    program's rows are a power of 2, for each number is compiled anew, and no more than 2048 columns
    if they are several, so that their states stay in the caches.
    """
    best = (float("inf"), Division(1, 1, 1, 1))
    for tiles in range(1, max(1, min(4, 32 // channels)) + 1):  # 2 channels * tiles sums a thread
        fit = max(1, 7 - tiles * channels // 8)  # programs, for their registers
        most = max(1, min(rows, 64, 2048 // positions))
        for group in (2**power for power in range(most.bit_length())):
            pitch = triton.cdiv(group * positions, tiles * WIDE.value) * tiles * WIDE.value
            groups = triton.cdiv(rows, group)
            share = triton.cdiv(groups, processors)
            work = share * pitch * (1 + 1.5 / tiles) * (1 + 1 / min(share, fit))
            rounds = triton.cdiv(groups, fit * processors)
            programs = groups if rounds <= 4 else triton.cdiv(groups, rounds)
            best = min(best, (work, Division(group, pitch, tiles, programs)))
    return best[1]


def launch(
    x: Tensor, conditioning: Tensor, weights: tuple[Tensor, ...], entry: Tensor, dilations: Tensor,
    division: Division, scratch: Tensor, result: Tensor,
) -> None:  # fmt: skip
    """Evaluate the network.

    Args:
        x: noised events (rows, P).
        conditioning: its features (rows, k, P).
        weights: convolutions, with the time's part in the row of the bias, projections, skip and
            output, transposed; the width c is a power of 2.
        entry: weight and bias of the first layer (2, c).
        dilations: int32.
        division: of rows among programs, of :func:`divide`.
        scratch: ``division.scratch_size(c)`` numbers, for nobody else.
        result: (rows, P), to be filled. Like all others it is contiguous.
    """
    (rows, positions), channels = x.shape, entry.shape[1]
    with torch.cuda.device_of(x):  # Triton launches on the current device
        _kernel[(division.programs,)](
            x, conditioning, *weights, entry, dilations, scratch, result, rows, len(dilations),
            positions, conditioning.shape[1], channels, division.group, division.pitch,
            division.tiles, num_warps=WIDE.value // 32, num_stages=1, enable_fp_fusion=True,
            maxnreg=division.registers(channels),
        )  # fmt: skip

"""Attention over a paged cache as Triton kernels: prompts, continuations, single tokens, or a mix of them."""

import triton
import triton.language as tl

# A row of a program's tile is one query token with one of the query heads that share a key head, so that each
# key is read once for all of them. Names that end in _tile are powers of two, as tl.arange wants them.


@triton.jit
def _sequence_of(program, starts, sequences, tokens_tile: tl.constexpr):
    """The sequence that a program works on: the last one with `starts[i] // tokens_tile + i <= program`."""
    low = 0
    high = sequences
    while low < high:
        middle = (low + high) // 2
        if tl.load(starts + middle) // tokens_tile + middle <= program:
            low = middle + 1
        else:
            high = middle
    return low - 1


@triton.jit
def _softcapped(scores, softcap):
    """softcap * tanh(scores / softcap), where no exponential is too large."""
    decay = tl.exp(-2 * tl.abs(scores) / softcap)
    size = softcap * (1 - decay) / (1 + decay)
    return tl.where(scores < 0, -size, size)


@triton.jit
def _keys_of(
    first, stop, window, split, splits: tl.constexpr, keys_tile: tl.constexpr, windowed: tl.constexpr
):
    """The keys (start, stop) that this split reads of a program for the tokens from `first` to `stop`."""
    start = 0
    if windowed:
        start = tl.maximum(0, first - window + 1) // keys_tile * keys_tile
    if splits > 1:
        each = tl.cdiv(tl.cdiv(stop - start, splits), keys_tile) * keys_tile
        start += split * each
        stop = tl.minimum(stop, start + each)
    return start, stop


@triton.jit(do_not_specialize=["sequences", "blocks", "window"])
def attend(
    query,  # (tokens, heads, width)
    keys,  # (blocks, block_size, key_heads, width)
    values,  # (blocks, block_size, key_heads, value_width)
    attended,  # (tokens, heads, value_width), or with splits (tokens, heads, splits, value_tile) float32
    logsums,  # with splits, (tokens, heads, splits) float32: logarithms of the sums of the exponentials
    starts,  # (sequences + 1,) int32
    lengths,  # (sequences,) int32
    tables,  # (sequences, blocks) int32
    sinks,  # (heads,)
    scale,
    softcap,
    window,
    sequences,
    blocks,
    key_heads: tl.constexpr,
    groups: tl.constexpr,
    width: tl.constexpr,
    value_width: tl.constexpr,
    block_size: tl.constexpr,
    width_tile: tl.constexpr,
    value_tile: tl.constexpr,
    rows_tile: tl.constexpr,
    keys_tile: tl.constexpr,
    splits: tl.constexpr,
    single: tl.constexpr,  # every slice is of one token
    windowed: tl.constexpr,
    softcapped: tl.constexpr,
    sunk: tl.constexpr,
):
    """Softmax over the keys tile by tile, with running maxima and sums (Dao et al., 2022: FlashAttention)."""
    program, key_head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    tokens_tile: tl.constexpr = rows_tile // groups
    heads: tl.constexpr = key_heads * groups
    sequence = program
    if not single:
        sequence = _sequence_of(program, starts, sequences, tokens_tile)
    start = tl.load(starts + sequence)
    count = tl.load(starts + sequence + 1) - start
    first = 0
    if not single:
        first = (program - start // tokens_tile - sequence) * tokens_tile
    if first >= count:
        return
    begin = tl.load(lengths + sequence) - count
    row = tl.arange(0, rows_tile)
    place = first + row // groups
    head = key_head * groups + row % groups
    is_row = (place < count) & (row < tokens_tile * groups)
    column, value_column = tl.arange(0, width_tile), tl.arange(0, value_tile)
    own = (start + place) * heads + head
    queries = tl.load(
        query + own[:, None] * width + column[None, :],
        mask=is_row[:, None] & (column < width)[None, :],
        other=0.0,
    )
    most = tl.full([rows_tile], float("-inf"), tl.float32)
    total = tl.zeros([rows_tile], tl.float32)
    sums = tl.zeros([rows_tile, value_tile], tl.float32)
    last = tl.minimum(count, first + tokens_tile)
    low, stop = _keys_of(begin + first, begin + last, window, split, splits, keys_tile, windowed)
    table = tables + sequence.to(tl.int64) * blocks
    for tile in range(low, stop, keys_tile):
        seen = tile + tl.arange(0, keys_tile)
        is_key = seen < stop
        block = tl.load(table + seen // block_size, mask=is_key, other=0).to(tl.int64)
        slot = (block * block_size + seen % block_size) * key_heads + key_head
        key = tl.load(
            keys + slot[None, :] * width + column[:, None],
            mask=is_key[None, :] & (column < width)[:, None],
            other=0.0,
        )
        scores = tl.dot(queries, key.to(queries.dtype), input_precision="ieee") * scale
        if softcapped:
            scores = _softcapped(scores, softcap)
        visible = is_key[None, :] & (seen[None, :] <= begin + place[:, None]) & is_row[:, None]
        if windowed:
            visible = visible & (seen[None, :] > begin + place[:, None] - window)
        scores = tl.where(visible, scores, float("-inf"))
        more = tl.maximum(most, tl.max(scores, 1))
        finite = tl.where(more == float("-inf"), 0.0, more)  # nothing seen yet: -inf - -inf is not a number
        weights = tl.exp(scores - finite[:, None])
        shrink = tl.exp(most - finite)
        value = tl.load(
            values + slot[:, None] * value_width + value_column[None, :],
            mask=is_key[:, None] & (value_column < value_width)[None, :],
            other=0.0,
        )
        total = total * shrink + tl.sum(weights, 1)
        sums = sums * shrink[:, None] + tl.dot(weights.to(value.dtype), value, input_precision="ieee")
        most = more
    if splits > 1:
        part = own * splits + split
        some = tl.where(total == 0, 1.0, total)  # a split may have no key to see: most is then -inf
        tl.store(
            attended + part[:, None] * value_tile + value_column[None, :],
            sums / some[:, None],
            mask=is_row[:, None],
        )
        tl.store(logsums + part, most + tl.log(some), mask=is_row)
    else:
        if sunk:
            sink = tl.load(sinks + head, mask=is_row, other=0.0).to(tl.float32)
            more = tl.maximum(most, sink)
            shrink = tl.exp(most - more)
            total = total * shrink + tl.exp(sink - more)
            sums = sums * shrink[:, None]
        result = sums / tl.where(total == 0, 1.0, total)[:, None]
        tl.store(
            attended + own[:, None] * value_width + value_column[None, :],
            result.to(attended.dtype.element_ty),
            mask=is_row[:, None] & (value_column < value_width)[None, :],
        )


@triton.jit
def combine(
    parts,  # (tokens, heads, splits, value_tile) float32
    logsums,  # (tokens, heads, splits) float32
    attended,  # (tokens, heads, value_width)
    sinks,  # (heads,)
    heads: tl.constexpr,
    value_width: tl.constexpr,
    value_tile: tl.constexpr,
    splits: tl.constexpr,
    sunk: tl.constexpr,
):
    """Attention to all keys from that to each split of them (Dao et al., 2023: Flash-Decoding)."""
    head = tl.program_id(1)
    own = tl.program_id(0) * heads + head
    split, column = tl.arange(0, splits), tl.arange(0, value_tile)
    logsum = tl.load(logsums + own * splits + split)
    most = tl.max(logsum, 0)
    if sunk:
        sink = tl.load(sinks + head).to(tl.float32)
        most = tl.maximum(most, sink)
    weights = tl.exp(logsum - most)
    total = tl.sum(weights, 0)
    if sunk:
        total += tl.exp(sink - most)
    part = tl.load(parts + (own * splits + split)[:, None] * value_tile + column[None, :])
    result = tl.sum(part * weights[:, None], 0) / total
    tl.store(
        attended + own * value_width + column,
        result.to(attended.dtype.element_ty),
        mask=column < value_width,
    )

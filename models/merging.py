"""Token merging (Bolya et al., ToMe, 2023) that touches only the rows it changes."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from pipeline.errors import ModelError


@dataclass(frozen=True, slots=True)
class Tokens:
    """`x` [B, n, D], and how many patches each token stands for: `size` [B, n], float32."""

    x: Tensor
    size: Tensor


@dataclass(frozen=True, slots=True)
class Match:
    """Which rows of the flattened [B * n] tokens go into which others, and which of them stay.

    `source` and `target` [B * r] are rows before merging, `landing` [B * r] are the targets' rows
    after it. `kept` [B * (n - r)] are the rows that stay: prefix, unmerged even ones, odd ones.
    """

    source: Tensor
    target: Tensor
    landing: Tensor
    kept: Tensor


@dataclass(frozen=True, slots=True)
class _Frame:
    """The part of a match that no token decides, for one batch shape: rows of the flattened tokens.

    `even`, `odd` and `landing` [B, 1] are each clip's first of those, `prefix` [B, p] and `odds`
    [B, o] are rows that always stay.
    """

    even: Tensor
    odd: Tensor
    landing: Tensor
    prefix: Tensor
    odds: Tensor


def merge(tokens: Tokens, keys: Tensor, removed: int, prefix: int) -> Tokens:
    """Merge the `removed` most similar even tokens of each clip into their best odd partners.

    `keys` [B, h, n, d] are the attention's. The first `prefix` tokens are left alone and stay in
    front. Raises ModelError when there are not that many tokens to merge.
    """
    if removed == 0:
        return tokens
    _require_enough(tokens.x.shape[1], removed, prefix)
    return _average(tokens, match_tokens(keys, removed, prefix))


def match_tokens(keys: Tensor, removed: int, prefix: int) -> Match:
    """Bipartite matching of even with odd tokens by the cosine of their mean keys. ToMe, section 3."""
    batch, _, n, _ = keys.shape
    frame = _frame(batch, n, removed, prefix, keys.device)
    scores = _scores(keys, prefix)
    ranked = scores.amax(-1).argsort(dim=-1, descending=True)
    chosen, spared = ranked[:, :removed], ranked[:, removed:].sort(dim=-1).values
    # the whole matrix is asked for its maxima only: where they lie costs several times as much to find
    into = scores.gather(1, chosen.unsqueeze(-1).expand(-1, -1, scores.shape[2])).argmax(-1)
    evens = torch.add(frame.even, spared, alpha=2)
    return Match(
        source=torch.add(frame.even, chosen, alpha=2).view(-1),
        target=torch.add(frame.odd, into, alpha=2).view(-1),
        landing=torch.add(frame.landing, into).view(-1),
        kept=torch.cat([frame.prefix, evens, frame.odds], dim=1).view(-1),
    )


@lru_cache(maxsize=256)
def _frame(batch: int, n: int, removed: int, prefix: int, device: torch.device) -> _Frame:
    even, odd = _first_even(prefix), _first_odd(prefix)
    # a cached tensor serves training as well, which takes none that inference mode has made
    with torch.inference_mode(False):
        before = torch.arange(batch * n, device=device).view(batch, n)
        after = torch.arange(0, batch * (n - removed), n - removed, device=device).view(batch, 1)
        spared = len(range(even, n, 2)) - removed
        first = before[:, :1]
        return _Frame(
            first + even, first + odd, after + prefix + spared, before[:, :prefix], before[:, odd::2]
        )


def _first_even(prefix: int) -> int:
    return (prefix + 1) // 2 * 2


def _first_odd(prefix: int) -> int:
    return prefix // 2 * 2 + 1


def _scores(keys: Tensor, prefix: int) -> Tensor:
    """Cosines [B, evens, odds] of the keys' means over the heads."""
    metric = _unit(keys.detach().sum(1, dtype=torch.float32))
    return torch.bmm(metric[:, _first_even(prefix) :: 2], metric[:, _first_odd(prefix) :: 2].mT)


def _unit(rows: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return rows.div_(length.clamp_min_(torch.finfo(rows.dtype).tiny))


def _average(tokens: Tokens, match: Match) -> Tokens:
    """Replace each target by the size-weighted mean of itself and its sources; drop the sources.

    A target t of size s moves by sum_i (x_i - t) * s_i / (s + sum_i s_i) over its sources i.
    """
    batch, n, dim = tokens.x.shape
    x, size = tokens.x.reshape(batch * n, dim), tokens.size.reshape(batch * n)
    added = size.index_select(0, match.source)
    merged_size = _add_rows(size.index_select(0, match.kept), match.landing, added)
    share = (added / merged_size.index_select(0, match.landing)).unsqueeze(1)
    shift = (x.index_select(0, match.source) - x.index_select(0, match.target)).mul_(share)
    merged = _add_rows(x.index_select(0, match.kept), match.landing, shift)
    return Tokens(merged.view(batch, -1, dim), merged_size.view(batch, -1))


def _add_rows(into: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    # not index_add_, whose sums over rows named twice come in any order on CUDA
    return into.index_put_((rows,), values, accumulate=True)


def _require_enough(num_tokens: int, removed: int, prefix: int) -> None:
    evens = (num_tokens + 1) // 2 - (prefix + 1) // 2
    odds = num_tokens // 2 - prefix // 2
    most = evens if odds > 0 else 0
    if not 0 <= removed <= most:
        raise ModelError(
            f"a layer with {num_tokens} tokens, {prefix} of them protected, "
            f"can merge 0 to {most} tokens, not {removed}"
        )

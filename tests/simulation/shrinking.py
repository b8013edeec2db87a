"""Shrinking: a failing list cut down to one of which no part can be left out (Zeller's ddmin)."""


def shrunk(items, fails, steps_max=2_000):
    """Return a sublist of `items`, in order, that still `fails` and of which no single item can be left out.

    fails(list) -> bool, True for `items`. After `steps_max` looks the best so far is returned.
    """
    kept, pieces, steps = list(items), 2, 0
    while len(kept) >= 2:
        size = -(-len(kept) // pieces)
        for start in range(0, len(kept), size):
            shorter = kept[:start] + kept[start + size :]
            steps += 1
            if steps > steps_max:
                return kept
            if shorter and fails(shorter):
                kept, pieces = shorter, max(pieces - 1, 2)
                break
        else:
            if size == 1:
                return kept
            pieces = min(2 * pieces, len(kept))
    return kept
